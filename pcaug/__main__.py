"""``python -m pcaug`` is the command ``pcaug``."""

from pcaug.cli.app import main

main()
