"""ONNX: the network for other runtimes, checked against torch before it is named."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pcaug.errors import MissingExtra, PcaugError, RecipeError
from pcaug.files import atomic_path
from pcaug.segment.features import names
from pcaug.segment.predict import Segmenter
from pcaug.segment.run import Run

CLOSE = 1e-3
"""Largest difference of a probability between torch and the exported network."""


class _Whole(nn.Module):
    """Metres and raw features in, probabilities out: what a user of the file needs to know is one page less."""

    mean: Tensor
    spread: Tensor

    def __init__(self, network: nn.Module, run: Run) -> None:
        super().__init__()
        self.network, self.unit = network, run.recipe.block / 2
        self.register_buffer("mean", torch.from_numpy(run.mean))
        self.register_buffer("spread", torch.from_numpy(run.spread))

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        logits: Tensor = self.network(xyz / self.unit, ((features - self.mean) / self.spread).clamp(-5, 5))
        return logits.softmax(2)


def export(run: Run, path: Path) -> float:
    """Write a run's network as ONNX.

    Inputs ``xyz`` (B, P, 3), metres from the block's centre and above its lowest point, and ``features`` (B, P, F), as
    ``pcaug.segment.features.prepare`` makes them; output ``probability`` (B, P, K). B and P are free. Classes, feature names,
    voxel and block are in the file's metadata as JSON.

    Returns:
        Largest difference of a probability from torch's, on two sizes that were not exported with.

    Raises:
        MissingExtra: Without onnx, onnxscript, onnxruntime.
        RecipeError: For a forest, which is no network.
        PcaugError: If the exported network computes something else; nothing is written.
    """
    if run.recipe.is_forest:
        raise RecipeError("extra trees cannot be exported as ONNX", do="train a network")
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401, what torch exports with
    except ImportError:
        raise MissingExtra("ONNX is not installed", do="pip install 'pcaug[onnx]'") from None
    whole = _Whole(Segmenter.load(run).model.cpu(), run).eval()
    sizes = {0: torch.export.Dim("blocks", min=1), 1: torch.export.Dim("points", min=2)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, on their own future
        program = torch.onnx.export(
            whole,
            _example(run, 2, 64),
            input_names=["xyz", "features"],
            output_names=["probability"],
            dynamic_shapes={"xyz": sizes, "features": sizes},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {"pcaug": json.dumps(_card(run))})
    with atomic_path(path) as partial:
        onnx.save(model, partial)
        difference = _compare(whole, onnxruntime.InferenceSession(str(partial), providers=["CPUExecutionProvider"]), run)
        if not difference <= CLOSE:  # NaN, too
            raise PcaugError(f"the exported network differs from torch's by {difference:.2g}", path, "report it with the recipe")
    return difference


def _compare(whole: nn.Module, session: object, run: Run) -> float:
    worst = np.float64(0)
    for blocks, points in ((1, 100), (3, 257)):
        xyz, features = _example(run, blocks, points)
        with torch.inference_mode():
            expected = whole(xyz, features).numpy()
        found = session.run(None, {"xyz": xyz.numpy(), "features": features.numpy()})[0]  # type: ignore[attr-defined]
        worst = np.maximum(worst, np.abs(found - expected).max())  # keeps NaN, which max does not
    return float(worst)


def _example(run: Run, blocks: int, points: int) -> tuple[Tensor, Tensor]:
    """Points all over a block, features as they are in the training data."""
    rng = torch.Generator().manual_seed(points)
    xyz = (torch.rand(blocks, points, 3, generator=rng) - 0.5) * run.recipe.block
    features = torch.randn(blocks, points, len(run.mean), generator=rng)
    return xyz, features * torch.from_numpy(run.spread) + torch.from_numpy(run.mean)


def _card(run: Run) -> dict[str, object]:
    recipe = run.recipe
    return {
        "classes": run.classes.names,
        "features": names(recipe.features),
        "groups": recipe.features,
        "voxel": recipe.voxel,
        "block": recipe.block,
    }
