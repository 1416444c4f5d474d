"""pcaug: more, and more varied, labelled point clouds. Importing it loads neither torch nor Open3D."""

from __future__ import annotations

from pcaug.cloud import PointCloud, concatenate
from pcaug.errors import PcaugError
from pcaug.labels import ClassSet, LabelMap, Taxonomy

__version__ = "0.1.0"
__all__ = ["ClassSet", "LabelMap", "PcaugError", "PointCloud", "Taxonomy", "concatenate"]
