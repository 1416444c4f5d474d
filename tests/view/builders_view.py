"""Small clouds with every field that the view can colour by."""

from __future__ import annotations

import numpy as np
from builders import make_cloud

from pcaug.cloud import PointCloud


def rich_cloud(n: int = 4000, seed: int = 0, size: float = 20.0) -> PointCloud:
    """Random points with label, prediction, native ids, instance, returns, intensity, confidence and colour."""
    rng = np.random.default_rng(seed)
    cloud = make_cloud(n, seed=seed, size=size)
    wrong = rng.random(n) < 0.2
    return cloud.with_fields(
        prediction=np.where(wrong, 24, cloud["label"]).astype(np.uint16),
        confidence=rng.random(n).astype(np.float32),
        native_label=rng.integers(-1, 12, n).astype(np.int32),
        instance=rng.integers(0, 70_000, n).astype(np.int32),
        return_number=rng.integers(1, 4, n).astype(np.uint8),
        rgb=rng.integers(0, 65536, (n, 3)).astype(np.uint16),
    )
