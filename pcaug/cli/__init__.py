"""The command ``pcaug``: one file a command, heavy imports inside the functions."""
