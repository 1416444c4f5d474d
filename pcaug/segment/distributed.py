"""Several processes as one: what ``torchrun`` starts trains on the blocks of one batch, each its share.

The result is that of one process at the same total batch, within rounding: gradients are averaged, and batch norm and the
loss are taken over all processes' points. (Lovász-softmax and dropout are each process's own.)
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from pcaug.segment.networks.pointnet import PointNet
from pcaug.segment.networks.randla import RandLA

ALONE = Lock()
PATIENCE = timedelta(days=1)
"""How long processes wait for the first one, which prepares the tiles of a corpus that is new."""


def device() -> torch.device:
    """Where networks work: the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """Inside, torch works on some threads, and nobody else in this process: a worker of Dask gives several jobs to one, but the
    seed and the number of threads are the whole process's."""
    with ALONE:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def start() -> None:
    """Join the group that torchrun's environment describes, if there is one: nccl where each process has a GPU, else gloo."""
    if launched() and not dist.is_initialized():
        gpus = torch.cuda.device_count()
        if gpus:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
        backend = "nccl" if gpus >= int(os.environ["LOCAL_WORLD_SIZE"]) else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
        atexit.register(dist.destroy_process_group)


def launched() -> bool:
    """Whether torchrun started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def world() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is; the first writes the files."""
    return dist.get_rank() if dist.is_initialized() else 0


def barrier() -> None:
    """Wait for the others."""
    if world() > 1:
        dist.barrier()


def total(value: Tensor) -> Tensor:
    """Sum over the processes, without gradient."""
    if world() == 1:
        return value.detach()
    value = value.detach().clone()
    dist.all_reduce(value)
    return value


def agreed(flag: bool) -> bool:
    """The first process's answer, in all of them."""
    if world() == 1:
        return flag
    box = torch.tensor([float(flag)], device=device())
    dist.broadcast(box, 0)
    return bool(box[0])


class SharedNorm(nn.BatchNorm1d):
    """Batch norm over the rows of all processes, (N, C) or (N, C, H, W); torch's own SyncBatchNorm needs a GPU."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected 2 or 4 dimensions, got {input.dim()}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalised values, of the same shape."""
        if not self.training:
            return super().forward(input)
        axes = [0] if input.dim() == 2 else [0, 2, 3]
        rows = input.float()
        count = rows.new_tensor([rows.numel() / rows.shape[1]])
        sums: Tensor = all_reduce(  # type: ignore[no-untyped-call]
            torch.cat([rows.sum(axes), (rows**2).sum(axes), count])
        )
        channels = rows.shape[1]
        mean = sums[:channels] / sums[-1]
        variance = (sums[channels : 2 * channels] / sums[-1] - mean**2).clamp(min=0)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            share = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * sums[-1] / (sums[-1] - 1).clamp(min=1), share)
            self.num_batches_tracked.add_(1)
        shape = (1, -1) if input.dim() == 2 else (1, -1, 1, 1)
        scale = self.weight / (variance + self.eps).sqrt()
        normed: Tensor = rows * scale.view(shape) + (self.bias - mean * scale).view(shape)
        return normed.to(input.dtype)


def share_norms(network: nn.Module) -> nn.Module:
    """The network with every batch norm taken over all processes; its weights and their names stay."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            made = SharedNorm(child.num_features, child.eps, child.momentum).to(child.weight.device)
            made.load_state_dict(child.state_dict())
            setattr(network, name, made)
        else:
            share_norms(child)
    return network


def joined(network: nn.Module) -> nn.Module:
    """The network as all processes train it; its parameters are the network's own."""
    if world() == 1:
        return network
    unused = not isinstance(network, PointNet | RandLA)  # the bottom of a U-Net has layers that are not asked
    return nn.parallel.DistributedDataParallel(network, find_unused_parameters=unused)
