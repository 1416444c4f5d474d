"""What an interrupted training needs to go on bit by bit: weights, average, optimiser, best score. No pickles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pcaug.errors import FileError
from pcaug.files import write_bytes


@dataclass
class State:
    """A training under way.

    Attributes:
        network: Trained.
        optimiser: Its own state goes with it.
        decay: Of the running average of the weights, 0 for none.
        step: Steps done.
        best: Best validation score so far.
        best_step: Where it was reached.
        average: Running average of weights and buffers by name; the network's own tensors without a decay.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    decay: float = 0.0
    step: int = 0
    best: float = -1.0
    best_step: int = 0
    average: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tensors = self.network.state_dict()
        self.average = {name: value.clone() for name, value in tensors.items()} if self.decay else tensors

    @torch.no_grad()
    def advance(self) -> None:
        """Count a step, and let the average follow: fast at first, by ``decay`` later."""
        self.step += 1
        if not self.decay:
            return
        share = 1 - min(self.decay, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, share)
            else:
                self.average[name].copy_(value)

    def save(self, path: Path) -> None:
        """Write everything beside and rename it."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.decay:
            tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors["progress"] = torch.tensor([self.step, self.best, self.best_step], dtype=torch.float64)
        write(tensors, path)

    def load(self, path: Path) -> None:
        """Go on from a file, if it is there; raises FileError where it is damaged, or of another network."""
        if not path.is_file():
            return
        try:
            self._take(load_file(path))
        except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
            do = "remove it: the training begins anew"
            raise FileError(f"is damaged, or of another training ({type(error).__name__})", path, do) from None

    def _take(self, tensors: dict[str, Tensor]) -> None:
        self.network.load_state_dict(_below("network.", tensors))
        for name, value in _below("average.", tensors).items():
            self.average[name].copy_(value)
        state: dict[int, dict[str, Any]] = {}
        for key, value in _below("optimiser.", tensors).items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})
        step, self.best, best_step = tensors["progress"].tolist()
        self.step, self.best_step = int(step), int(best_step)


def write(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors beside and rename the file."""
    write_bytes(path, save({name: value.contiguous() for name, value in tensors.items()}))


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
