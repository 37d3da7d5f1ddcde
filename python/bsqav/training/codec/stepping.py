"""One optimizer step, as a plain call and, on CUDA, as one captured graph.

On a GPU these small networks spend their time on starting kernels. A CUDA graph starts all kernels
of a layer (forward, backward, clipping, AdamW, running average) at once; it is captured after a few
plain steps and run again with new inputs. Where capturing fails, plain steps continue.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bsqav.nn.codec.networks import CodecNet
from bsqav.training.common.placement import Placement

Function = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class Schedule:
    """What changes from step to step: share of the peak rates, and the average's weight."""

    rate: float
    decay: float


class Updater:
    """Backward pass, clipping, optimizer and running average of one run."""

    def __init__(
        self,
        net: CodecNet,
        average: CodecNet,
        groups: Sequence[dict[str, object]],
        clip: float,
        weight_decay: float,
        place: Placement,
    ) -> None:
        self.net, self.average, self.clip, self.place = net, average, clip, place
        # A rate in device memory can change between the runs of a graph.
        self.captured = place.device.type == "cuda"
        parts = [dict(group) for group in groups]
        self.trained = [p for part in parts for p in _params(part) if p.requires_grad]
        for part in parts:
            peak = part["peak"]
            part["lr"] = torch.tensor(peak, device=place.device) if place.batched else peak
        self.optimizer = torch.optim.AdamW(
            parts,
            betas=(0.9, 0.98),
            weight_decay=weight_decay,
            fused=place.batched or None,
            capturable=self.captured,
        )
        self.share = torch.zeros((), device=place.device)
        # Steps that were left out: all, and those since the last good one. On the device, since a
        # graph counts them; reading them makes the device wait.
        self.skipped = torch.zeros(2, dtype=torch.int64, device=place.device)

    def prepare(self, schedule: Schedule) -> None:
        """Sets what the next step needs; never part of a graph."""
        for group in self.optimizer.param_groups:
            rate = group["peak"] * schedule.rate
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.share.fill_(1.0 - schedule.decay)
        self.decay = schedule.decay
        self.optimizer.zero_grad(set_to_none=True)

    def update(self, loss: Tensor) -> None:
        """Changes the weights; a step whose loss or gradients are no numbers is left out."""
        loss.backward()
        self.place.average_gradients(self.trained)
        parts = [list(part.parameters()) for part in (self.net.enc, self.net.dec, self.net.prior)]
        moved = [part for part in parts if any(p.grad is not None for p in part)]
        total = torch.stack([nn.utils.clip_grad_norm_(part, self.clip) for part in moved]).sum()
        if self.place.world == 1:  # all processes have the same norms, but losses of their own
            total = total + loss.detach()
        bad = ~torch.isfinite(total)
        self.skipped += bad
        self.skipped[1].mul_(bad)
        if self.place.batched:
            # AdamW itself reads this flag, on the device, as it does for scaled gradients.
            self.optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
            self.optimizer.step()
        elif not bad.item():
            self.optimizer.step()
        self._average()

    @torch.no_grad()
    def _average(self) -> None:
        means: list[Tensor] = list(self.average.parameters())
        values: list[Tensor] = list(self.net.parameters())
        if self.place.batched:
            gap = list(torch._foreach_sub(values, means))
            torch._foreach_mul_(gap, self.share)
            torch._foreach_add_(means, gap)
            return
        for mean, value in zip(means, values, strict=True):
            mean.lerp_(value, 1.0 - self.decay)

    def load(self, state: dict[str, object]) -> None:
        """Takes the optimizer's state of a checkpoint, wherever that was written."""
        saved = dict(state)
        groups = saved["param_groups"]
        assert isinstance(groups, list)
        kept = ("lr", "peak", "fused", "foreach", "capturable", "weight_decay")
        saved["param_groups"] = [
            {**group, **{key: own[key] for key in kept}}
            for group, own in zip(groups, self.optimizer.param_groups, strict=True)
        ]
        self.optimizer.load_state_dict(saved)


def _params(group: dict[str, object]) -> list[nn.Parameter]:
    params = group["params"]
    assert isinstance(params, list)
    return params


class Replayed:
    """A function of tensors that is captured as a CUDA graph after a few plain calls.

    Shapes and types stay the same from call to call; results belong to the caller. Where it is not
    enabled, every call is a plain one.
    """

    PLAIN_CALLS = 3

    def __init__(
        self, name: str, function: Function, report: Callable[[str], None], enabled: bool = True
    ) -> None:
        self.name = name
        self.function = function
        self.report = report
        self.enabled = enabled
        self.reset()

    def reset(self) -> None:
        """Forgets the graph, after the function has come to do something else."""
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor, ...] = ()
        self.outputs: tuple[Tensor, ...] = ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The function's result."""
        if not self.enabled:
            return self.function(*inputs)
        if self.calls < self.PLAIN_CALLS:
            self.calls += 1
            return self._on_side_stream(inputs)
        if self.graph is None and not self._capture(inputs):
            return self.function(*inputs)
        assert self.graph is not None
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return tuple(output.clone() for output in self.outputs)

    def _on_side_stream(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """A plain call on a stream of its own, as capturing asks of the calls before it."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            outputs = self.function(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        for tensor in (*inputs, *outputs):
            tensor.record_stream(torch.cuda.current_stream())
            tensor.record_stream(stream)
        return outputs

    def _capture(self, inputs: tuple[Tensor, ...]) -> bool:
        self.inputs = tuple(tensor.clone() for tensor in inputs)
        graph = torch.cuda.CUDAGraph()
        try:
            torch.cuda.synchronize()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.outputs = self.function(*self.inputs)
        except RuntimeError as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            self.report(f"no CUDA graph of {self.name}: {reason}; plain calls continue")
            self.enabled = False
            torch.cuda.synchronize()
            return False
        self.graph = graph
        return True
