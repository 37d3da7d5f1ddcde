"""Where a run computes: its device, its number format, and its place among several processes."""

import functools
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bsqav.errors import UnsupportedError, UsageError

DEVICES = ("auto", "cpu", "cuda")


@functools.cache
def _has_bf16() -> bool:
    """Whether the processor multiplies bfloat16.

    Without, PyTorch takes seven times as long as in single precision.
    """
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    names = ("avx512_bf16", "amx_bf16", "bf16")
    return not capabilities or any(bool(capabilities.get(name)) for name in names)


@dataclass(frozen=True)
class Placement:
    """Device of this process; rank and world as torchrun has them (0 and 1 without it).

    batched: the work is done in few large operations on the device (data, motion search, the
    prior's cost) instead of many small ones on NumPy arrays and chosen rows.
    """

    device: torch.device
    batched: bool
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process saves and logs."""
        return self.rank == 0

    def autocast(self, bf16: bool, cache: bool = True) -> AbstractContextManager[None]:
        """Matrix products in bfloat16, if bf16 and the device has instructions for them.

        cache: keep converted weights while inside.
        """
        enabled = bf16 and (self.device.type != "cpu" or _has_bf16())
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=enabled, cache_enabled=cache
        )

    # ---- several processes ----

    def any_of(self, flag: bool) -> bool:
        """Whether the flag is set in any process, so that all go the same way."""
        if self.world == 1:
            return flag
        shared = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return bool(shared.item() > 0)

    def agreed(self, value: float) -> float:
        """The value of the first process."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return shared.item()

    def mean(self, values: Tensor) -> Tensor:
        """Values [N] averaged over the processes."""
        if self.world == 1:
            return values
        shared = values.clone()
        dist.all_reduce(shared)
        return shared / self.world

    def mean_of_batch(self, values: Tensor) -> Tensor:
        """The mean over the processes, differentiable: a process's values get its own gradient."""
        if self.world == 1:
            return values
        mean: Tensor = _SharedMean.apply(values, self.world)  # type: ignore[no-untyped-call]
        return mean

    def leave(self) -> None:
        """Ends the exchange with the other processes."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def share_weights(self, net: nn.Module) -> None:
        """Gives every process the weights and ranges of the first."""
        if self.world > 1:
            for tensor in net.state_dict().values():
                dist.broadcast(tensor, 0)

    def widest(self, ranges: list[Tensor]) -> None:
        """Replaces ranges that processes observed by the largest of each."""
        if self.world > 1:
            for tensor in ranges:
                dist.all_reduce(tensor, dist.ReduceOp.MAX)

    def average_gradients(self, params: list[nn.Parameter]) -> None:
        """Replaces gradients by their mean over the processes; a missing one counts as 0."""
        if self.world == 1:
            return
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        dist.all_reduce(flat)
        parts = torch.split(flat.div_(self.world), [grad.numel() for grad in grads])
        for param, part in zip(params, parts, strict=True):
            param.grad = part.view_as(param)


class _SharedMean(torch.autograd.Function):
    """The mean over all processes; all use the result alike, so gradients are averaged too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, world: int) -> Tensor:
        ctx.world = world
        shared = values.clone()
        dist.all_reduce(shared)
        return shared / world

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        shared = grad.clone()
        dist.all_reduce(shared)
        return shared / ctx.world, None


def place(device: str = "auto", batched: bool | None = None) -> Placement:
    """Chooses the device and, under torchrun, joins the other processes.

    device: auto, cpu or cuda; auto is cuda where there is one. batched None: where the device is
    not the CPU. Raises UsageError for another name, UnsupportedError where there is no such device.
    """
    if device not in DEVICES:
        raise UsageError(f"no device {device!r}; there are {', '.join(DEVICES)}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UnsupportedError(
            "PyTorch finds no CUDA device here: take --device cpu, or install a PyTorch with CUDA"
        )
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    where = torch.device(device)
    if device == "cuda":
        where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(where)
        torch.backends.cudnn.benchmark = True
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    return Placement(where, device != "cpu" if batched is None else batched, rank, world)
