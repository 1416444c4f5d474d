"""Segmentation: features, blocks, blend, networks, training, evaluation, prediction. The only room that trains."""
