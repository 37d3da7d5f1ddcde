"""Networks spread over processes by FSDP2, and their whole state for checkpoints.

Each process holds a part of every weight, gradient and moment; a Transformer's block is gathered
while it runs. States are whole on the first process, so that any number of processes can continue a
checkpoint, sharded or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    OptimizerStateType,
    StateDictOptions,
    ValueType,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.nn.parallel import DistributedDataParallel

from bsqav.errors import UsageError
from bsqav.nn.paper.attention import TransformerBlock
from bsqav.training.common.placement import Placement

__all__ = [
    "averaged_while_computed",
    "load_state",
    "optimizer_state",
    "shard",
    "weights_state",
    "whole",
]

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
_LOADED = StateDictOptions(full_state_dict=True)


def shard(net: nn.Module, place: Placement) -> None:
    """Spreads a network over the processes. Raises UsageError where there is one only."""
    if place.world == 1:
        raise UsageError("sharding needs several processes: start the run with torchrun")
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(place.device.type, (place.world,))
    for module in list(net.modules()):
        if isinstance(module, TransformerBlock):
            fully_shard(module, mesh=mesh)
    fully_shard(net, mesh=mesh)


class _Objective(nn.Module):
    """A loss of a network, as a module that DistributedDataParallel can wrap."""

    def __init__(self, net: nn.Module, loss: Callable[..., Any]) -> None:
        super().__init__()
        self.net, self.loss = net, loss

    def forward(self, *given: Any) -> Any:
        return self.loss(*given)


def averaged_while_computed(
    net: nn.Module, loss: Callable[..., Any], place: Placement
) -> DistributedDataParallel:
    """The loss, whose backward pass averages the network's gradients over the processes.

    DistributedDataParallel exchanges the gradients of the last layers while those of the first are
    computed.
    """
    devices = [place.device] if place.device.type == "cuda" else None
    return DistributedDataParallel(_Objective(net, loss), devices, broadcast_buffers=False)


def whole(value: Tensor) -> Tensor:
    """A figure such as a norm, which may be spread, as a plain tensor."""
    full: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full


def weights_state(net: nn.Module) -> dict[str, ValueType]:
    """All weights on the CPU of the first process; every process must ask."""
    return get_model_state_dict(net, options=_WHOLE)


def optimizer_state(net: nn.Module, optimizer: torch.optim.Optimizer) -> OptimizerStateType:
    """The optimizer's state by the names of weights, as weights_state has it."""
    return get_optimizer_state_dict(net, optimizer, options=_WHOLE)


def load_state(
    net: nn.Module,
    weights: dict[str, ValueType],
    optimizer: torch.optim.Optimizer | None = None,
    moments: OptimizerStateType | None = None,
) -> None:
    """Takes what weights_state and optimizer_state gave, in every process."""
    set_model_state_dict(net, weights, options=_LOADED)
    if optimizer is not None and moments is not None:
        set_optimizer_state_dict(net, optimizer, moments, options=_LOADED)
