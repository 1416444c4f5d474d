"""Networks of the library torch-pointcloud, behind our recipe: those of its zoo that run without compiled extras."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pcaug.errors import MissingExtra, RecipeError

TASK = "semantic-segmentation"


class Zoo(nn.Module):
    """A segmentation network of torch-pointcloud by its name there, at random weights.

    Args:
        features: F, features a point beside its position.
        classes: K.
        model: Name, such as "pointnet.s3dis-area5" or "pvcnn-c0p25.s3dis-area5.mit-han-lab".
        arguments: Passed on.

    Raises:
        MissingExtra: Without torch-pointcloud.
        RecipeError: For a name that it does not know, or a network that needs what is not installed.
    """

    def __init__(self, features: int, classes: int, model: str = "pointnet.s3dis-area5", **arguments: Any) -> None:
        super().__init__()
        try:
            from torch_pointcloud import create_model, list_models
        except ImportError:
            raise MissingExtra("torch-pointcloud is not installed", do="pip install torch-pointcloud") from None
        if model not in list_models(task=TASK):
            raise RecipeError(f"torch-pointcloud has no segmentation network {model!r}", do="see its list_models()")
        try:
            self.network: nn.Module = create_model(model, task=TASK, in_channels=features, num_classes=classes, **arguments)
        except (ImportError, RuntimeError) as error:
            raise RecipeError(f"{model!r} does not run here: {str(error).splitlines()[0]}", do="choose another model") from None

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Logits (B, P, K) of positions (B, P, 3) in units of half a block and features (B, P, F)."""
        blocks, points, _ = xyz.shape
        block = torch.arange(blocks, device=xyz.device).repeat_interleave(points)
        logits: Tensor = self.network(features.flatten(0, 1), xyz.flatten(0, 1), block)
        return logits.view(blocks, points, -1)
