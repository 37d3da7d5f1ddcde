"""The tokenizer's two networks compared with PyTorch and OpenVINO in bfloat16, at equal sizes.

Those of predicted frames, which most frames are.
"""

import dataclasses
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from bsqav import _core
from bsqav.evaluation.bench.result import Part, Settings, columns
from bsqav.evaluation.bench.timing import Spread, in_turn, ratios, seconds_of

if TYPE_CHECKING:
    from torch import Tensor, nn

HALVES = ("analysis", "synthesis")
_TOKEN = 8  # luma samples of a side
_WARM_UP = 2
Runs = dict[str, Callable[[], object]]


def measure(settings: Settings) -> Part:
    """Milliseconds a frame, every token coded, most threads."""
    width, height = settings.size
    tokens = (-(-height // _TOKEN), -(-width // _TOKEN))
    threads = max(settings.threads)
    part = Part(
        "networks",
        f"Tokenizer networks, {width}x{height}, every token, {threads} threads",
        columns("engine | analysis_ms .2f | synthesis_ms .2f | both_ms .2f"),
    )
    engines: dict[str, Runs] = {f"bsqav {_core.current_kernels()}": {}}
    own = next(iter(engines))
    if importlib.util.find_spec("torch") is None:
        part.notes.append("PyTorch is not installed: pip install 'bsqav[train]'")
    else:
        engines["PyTorch bfloat16 eager"] = _pytorch(settings, tokens, threads)
        if importlib.util.find_spec("openvino") is None:
            part.notes.append("OpenVINO is not installed: pip install 'bsqav[bench]'")
        else:
            engines["OpenVINO bfloat16"] = _openvino(settings, tokens, threads)
    turns: dict[tuple[str, str], Callable[[], float]] = {}
    for half in HALVES:
        turns[own, half] = partial(_own_seconds, settings, half, tokens, threads)
        for name, runs in engines.items():
            if name != own:
                turns[name, half] = partial(_warm_seconds, runs[half])
    values = in_turn(turns, settings.repeats)
    _report(part, list(engines), values)
    return part


def _report(part: Part, engines: list[str], values: dict[tuple[str, str], list[float]]) -> None:
    own = engines[0]
    both: dict[str, list[float]] = {}
    for name in engines:
        sums = zip(*(values[name, half] for half in HALVES), strict=True)
        both[name] = [sum(pair) for pair in sums]
        row = {f"{h}_ms": Spread.of([1e3 * s for s in values[name, h]]) for h in HALVES}
        both_ms = Spread.of([1e3 * s for s in both[name]])
        part.rows.append({"engine": name, **row, "both_ms": both_ms})
        if name != own:
            part.facts[f"{name.split()[0].lower()}_over_bsqav"] = ratios(both[name], both[own])


def _own_seconds(settings: Settings, half: str, tokens: tuple[int, int], threads: int) -> float:
    """Seconds of a run after others that do not count."""
    calls = _WARM_UP + 1
    return _core.time_tokenizer(settings.model, half, *tokens, threads, calls)[-1]


def _warm_seconds(run: Callable[[], object]) -> float:
    """Seconds of a call after others that do not count."""
    for _ in range(_WARM_UP):
        run()
    return seconds_of(run)


def _inputs(settings: Settings, tokens: tuple[int, int]) -> "dict[str, tuple[Tensor, Tensor]]":
    import torch

    from bsqav.nn.codec import fields

    side = torch.randn(1, *tokens, fields.SIDE_WIDTH)
    residual = torch.randn(1, *tokens, fields.SAMPLES)
    bits = (torch.rand(1, *tokens, settings.model.stages * fields.STAGE_BITS) < 0.2).float()
    token = fields.token_vector(bits, torch.ones(1, *tokens, dtype=torch.long))
    return {"analysis": (residual, side), "synthesis": (token, side)}


def _halves(settings: Settings, tokens: tuple[int, int]) -> "dict[str, nn.Module]":
    """Modules (samples or token vectors, side vectors) -> what the integer networks give too."""
    import torch
    from torch import nn

    from bsqav.codec.modelspec import ModelConfig
    from bsqav.nn.codec import CodecNet

    names = [field.name for field in dataclasses.fields(ModelConfig)]
    net = CodecNet(ModelConfig(**{name: settings.model.config[name] for name in names})).eval()
    mask = torch.ones(1, *tokens, 1)

    class Half(nn.Module):
        """One network, and the mask of every token."""

        def __init__(self, part: nn.Module) -> None:
            super().__init__()
            self.net: Any = part
            self.register_buffer("mask", mask)

    class Analysis(Half):
        """To the latents: their signs cost nothing."""

        def forward(self, residual: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
            x = self.net.into(torch.cat([residual, side], dim=-1))
            for block in self.net.blocks:
                x = block(x, self.mask)
            latents: torch.Tensor = self.net.head(self.net.feature(x))
            return latents

    class Synthesis(Half):
        """The decoder as it is."""

        def forward(self, token: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
            samples: torch.Tensor = self.net(token, side, self.mask)
            return samples

    return {"analysis": Analysis(net.enc).eval(), "synthesis": Synthesis(net.dec).eval()}


def _pytorch(settings: Settings, tokens: tuple[int, int], threads: int) -> Runs:
    import torch

    torch.set_num_threads(threads)
    inputs = _inputs(settings, tokens)
    runs: Runs = {}
    for half, module in _halves(settings, tokens).items():
        module = module.to(torch.bfloat16)
        pair = [x.to(torch.bfloat16) for x in inputs[half]]

        def run(module: Any = module, pair: list[torch.Tensor] = pair) -> object:
            with torch.inference_mode():
                return module(*pair)

        runs[half] = run
    return runs


def _openvino(settings: Settings, tokens: tuple[int, int], threads: int) -> Runs:
    import openvino

    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    inputs = _inputs(settings, tokens)
    runs: Runs = {}
    for half, module in _halves(settings, tokens).items():
        pair = inputs[half]
        converted = openvino.convert_model(module, example_input=pair)
        converted.reshape({i: list(x.shape) for i, x in enumerate(pair)})
        request = core.compile_model(converted, "CPU", options).create_infer_request()
        arrays = [x.numpy() for x in pair]
        runs[half] = partial(request.infer, arrays, share_inputs=True, share_outputs=True)
    return runs
