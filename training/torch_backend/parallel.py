"""One process, or several through torchrun: DDP or FSDP2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from curate.schemas.errors import UsageError
from curate.training.arguments import rank_of_world
from curate.training.torch_backend.model import KosmosModel

Strategy = Literal["ddp", "fsdp"]


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together."""

    rank: int
    world: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """Of all ranks."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()


@contextmanager
def process_group() -> Iterator[Ranks]:
    """The ranks as torchrun's environment tells them; without it, one.

    Raises:
        UsageError: these are no numbers, or no rank of a world, or this machine has fewer GPUs
            than processes.
    """
    rank, world = rank_of_world(_number("RANK", 0), _number("WORLD_SIZE", 1))
    gpu = torch.cuda.is_available()
    device = torch.device("cpu")
    if gpu:
        local, here = _number("LOCAL_RANK", 0), torch.cuda.device_count()
        if local >= here:
            raise UsageError(
                f"Each process needs a GPU of its own (got rank {local + 1} of this machine, which "
                f"has {here}). Give torchrun --nproc-per-node={here}, or set CUDA_VISIBLE_DEVICES "
                "to nothing to train on processors."
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if world > 1:
        dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield Ranks(rank, world, device)
    finally:
        if world > 1:
            dist.destroy_process_group()


def _number(variable: str, default: int) -> int:
    value = os.environ.get(variable, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise UsageError(f"{variable} must be a whole number, as torchrun sets it (got {value!r}).")
    return int(value)


def parallelized(
    model: KosmosModel, ranks: Ranks, strategy: Strategy, half_precision: bool
) -> nn.Module:
    """What to call instead of the model, so that gradients are averaged over ranks."""
    if ranks.world == 1:
        return model
    if strategy == "ddp":
        ids = [ranks.device.index] if ranks.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=ids)
    policy = MixedPrecisionPolicy()
    if half_precision:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in model.layers:
        fully_shard(layer, mp_policy=policy)
    return fully_shard(model, mp_policy=policy)


@contextmanager
def gradients_kept(module: nn.Module, last: bool) -> Iterator[None]:
    """Gradients of all but the last micro-batch of a step stay on their rank."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(last)
        yield
    elif isinstance(module, DistributedDataParallel) and not last:
        with module.no_sync():
            yield
    else:
        yield
