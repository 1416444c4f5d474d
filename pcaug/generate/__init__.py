"""Learned object generators: gather objects of a class, fit a model to them, sample new ones, score the samples."""

from pcaug.generate.objects import gather
from pcaug.generate.score import Scores, score
from pcaug.generate.shape import ShapeModel, fit

__all__ = ["Scores", "ShapeModel", "fit", "gather", "score"]
