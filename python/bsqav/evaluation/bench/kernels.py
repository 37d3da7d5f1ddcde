"""Matrix products compared with a bare loop of the same products on registers, in turn."""

from collections.abc import Callable
from functools import partial

from bsqav import _core
from bsqav.codec.modelspec import SAMPLE_VECTOR, SIDE_VECTOR, STAGE_BITS, token_width
from bsqav.errors import UnsupportedError
from bsqav.evaluation.bench.result import Part, Settings, columns
from bsqav.evaluation.bench.timing import Spread, in_turn, ratios

ROWS = 1024
# Calls in a row whose middle time counts as one measurement.
CALLS = 9
# Of the bare loop: long enough to be timed, short enough to see the same machine as the product.
PEAK_SECONDS = 0.005
_FIRST_ROUNDS = 1000

# Inputs and outputs, besides those of the model.
LARGE = ((192, 192), (256, 256), (256, 512), (512, 256), (512, 512), (768, 768))

Shape = tuple[str, str, int, int]


def shapes(config: dict[str, int]) -> list[Shape]:
    """Where the model has it first, operation, inputs, outputs; larger ones after those."""
    tokens = token_width(config["stages"])
    encoder, decoder = config["encoder_width"], config["decoder_width"]
    found: list[Shape] = [
        ("analysis in", "linear16_rq16", SAMPLE_VECTOR + SIDE_VECTOR, encoder),
        ("analysis head", "linear8_rq8", encoder, STAGE_BITS * config["stages"]),
        ("synthesis tokens", "linear8_rq16", tokens, decoder),
        ("synthesis out", "linear8_rq16", decoder, SAMPLE_VECTOR),
    ]
    networks = (("analysis", "encoder"), ("synthesis", "decoder"), ("prior", "prior"))
    for title, network in networks:
        width, hidden = config[f"{network}_width"], config[f"{network}_hidden"]
        found.append((f"{title} fc1", "linear8_rq8", width, hidden))
        found.append((f"{title} fc2", "linear8_rq16", hidden, width))
    for k, n in LARGE:
        found += [("larger", "linear8_rq8", k, n), ("larger", "linear8_rq16", k, n)]
    names: dict[tuple[str, int, int], str] = {}
    for title, operation, k, n in found:
        names.setdefault((operation, k, n), title)
    return [(title, *shape) for shape, title in names.items()]


def peak_rate(kernels: str, threads: int = 1, seconds: float = PEAK_SECONDS) -> float | None:
    """Multiply-adds a second of the bare loop; None for a set that has none.

    Many short loops, of which the middle one counts: what interrupts one of them does not.
    """
    try:
        _, took = _core.time_peak(kernels, _FIRST_ROUNDS)
    except UnsupportedError:
        return None
    rounds = max(1, int(_FIRST_ROUNDS * seconds / CALLS / max(took, 1e-9)))
    found = [_core.time_peak(kernels, rounds, threads) for _ in range(CALLS)]
    return Spread.of([done / took for done, took in found]).median


def _peak(kernels: str) -> float:
    return peak_rate(kernels) or 0.0


def _product(kernels: str, operation: str, inputs: int, outputs: int) -> Callable[[], float]:
    def rate() -> float:
        times = _core.time_linear(kernels, operation, ROWS, inputs, outputs, CALLS)
        return ROWS * inputs * outputs / Spread.of(times).median

    return rate


def measure(settings: Settings) -> Part:
    """Multiply-adds a second of every product and its share of the bare loop's, one thread."""
    part = Part(
        "kernels",
        f"Matrix products, {ROWS} rows, epilogue included, one thread",
        columns(
            "kernels = set | product | operation | inputs = K | outputs = N | "
            "gmacs .0f = 10^9/s | share_of_peak .2f = of peak"
        ),
    )
    for kernels in _core.kernel_sets():
        if peak_rate(kernels) is None:
            part.notes.append(f"{kernels}: no vector instructions, and so no bare loop")
            continue
        least = 1.0
        for product, operation, inputs, outputs in shapes(settings.model.config):
            values = in_turn(
                {
                    "product": _product(kernels, operation, inputs, outputs),
                    "peak": partial(_peak, kernels),
                },
                settings.repeats,
            )
            share = ratios(values["product"], values["peak"])
            part.rows.append(
                {
                    "kernels": kernels,
                    "product": product,
                    "operation": operation,
                    "rows": ROWS,
                    "inputs": inputs,
                    "outputs": outputs,
                    "gmacs": Spread.of([v / 1e9 for v in values["product"]]),
                    "peak_gmacs": Spread.of([v / 1e9 for v in values["peak"]]),
                    "share_of_peak": share,
                }
            )
            if operation != "linear16_rq16" and min(inputs, outputs) >= 192:
                least = min(least, share.median)
        part.facts[f"least_share_of_{kernels}_from_192x192"] = least
    part.notes.append("products of 16-bit inputs do half as many multiply-adds an instruction")
    return part
