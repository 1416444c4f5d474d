"""Claims on training in two processes, tested by two: ``python -m segment.together RANK FOLDER CORPUS``."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from segment.builders_segment import SMALL

from pcaug.errors import RecipeError
from pcaug.segment.distributed import SharedNorm
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import WEIGHTS
from pcaug.segment.train import train


def a_shared_norm_is_batch_norm_over_all_rows(rank: int, folder: Path, corpus: str) -> None:
    for shape, parts in (((40, 3), (26, 14)), ((4, 3, 5, 5), (3, 1))):
        torch.manual_seed(0)
        theirs = torch.nn.BatchNorm1d(3) if len(shape) == 2 else torch.nn.BatchNorm2d(3)
        torch.nn.init.uniform_(theirs.weight, 0.5, 2.0)
        ours = SharedNorm(3)
        ours.load_state_dict(theirs.state_dict())
        rows, pull = (3 * torch.randn(shape) + 1).requires_grad_(), torch.randn(shape)
        mine = rows.detach().split(parts)[rank].requires_grad_()
        expected, found = theirs(rows), ours(mine)
        (expected * pull).sum().backward()
        (found * pull.split(parts)[rank]).sum().backward()
        torch.testing.assert_close(found, expected.split(parts)[rank])
        torch.testing.assert_close(mine.grad, rows.grad.split(parts)[rank])
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            dist.all_reduce(one.grad)
            torch.testing.assert_close(one.grad, other.grad)
        torch.testing.assert_close(dict(ours.named_buffers()), dict(theirs.named_buffers()))


def a_shared_norm_without_momentum_learns_nothing(rank: int, folder: Path, corpus: str) -> None:
    for momentum, mean in ((0.0, 0.0), (None, 0.5), (0.5, 2.5)):
        norm = SharedNorm(1, momentum=momentum).train()
        norm(torch.full((8, 1), 5.0))
        assert norm.running_mean.item() == pytest.approx(mean), momentum


def a_batch_must_be_shared_evenly(rank: int, folder: Path, corpus: str) -> None:
    with pytest.raises(RecipeError, match="a batch of 3 blocks cannot be shared by 2"):
        train(TrainRecipe(**SMALL | {"batch": 3}), corpus, (), folder / "none")


def only_the_first_process_writes(rank: int, folder: Path, corpus: str) -> None:
    run = train(TrainRecipe(**SMALL | {"steps": 2}), corpus, (), folder / f"run{rank}")
    assert run.folder.exists() == (rank == 0)


def a_forest_is_fitted_by_the_first_alone(rank: int, folder: Path, corpus: str) -> None:
    run = train(TrainRecipe(**SMALL | {"network": "trees", "trees": 3}), corpus, (), folder / "forest")
    assert (run.folder / WEIGHTS).is_file()


CLAIMS = {
    claim.__name__: claim
    for claim in (
        a_shared_norm_is_batch_norm_over_all_rows,
        a_shared_norm_without_momentum_learns_nothing,
        a_batch_must_be_shared_evenly,
        only_the_first_process_writes,
        a_forest_is_fitted_by_the_first_alone,
    )
}


def main(rank: int, folder: Path, corpus: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    wrong = {}
    for name, claim in CLAIMS.items():
        try:
            claim(rank, folder, corpus)
        except Exception:
            wrong[name] = traceback.format_exc()
    (folder / f"{rank}.json").write_text(json.dumps(wrong))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
