"""Where the time of encoding and decoding goes, by section, by the library's own clock."""

from collections.abc import Callable

from bsqav import _core
from bsqav.codec.modelspec import SAMPLE_VECTOR, SIDE_VECTOR, STAGE_BITS, token_width
from bsqav.evaluation.bench.codec import WAYS, Coding, frames_of
from bsqav.evaluation.bench.kernels import peak_rate
from bsqav.evaluation.bench.result import Part, Settings, Value, columns
from bsqav.evaluation.bench.timing import Spread

PEAK_SECONDS = 0.05
_TAPS = 25
_FLAGS = 3
_PRIOR = ("prior trunk", "prior bits", "range coding")
_TOKENIZER = ("analysis", "synthesis")

Times = dict[str, tuple[float, int, int]]


def multiply_adds(config: dict[str, int]) -> dict[str, int]:
    """Of one token of a predicted frame in the sections that are one network each."""

    def stack(network: str) -> int:
        width, hidden = config[f"{network}_width"], config[f"{network}_hidden"]
        return config[f"{network}_blocks"] * width * (2 * hidden + _TAPS)

    two_inputs = token_width(config["stages"]) + SIDE_VECTOR
    bits = STAGE_BITS * config["stages"]
    encoder, decoder, prior = (config[f"{n}_width"] for n in ("encoder", "decoder", "prior"))
    return {
        "analysis": (SAMPLE_VECTOR + SIDE_VECTOR + bits) * encoder + stack("encoder"),
        "synthesis": (two_inputs + SAMPLE_VECTOR) * decoder + stack("decoder"),
        "prior trunk": (two_inputs + _FLAGS * config["stages"]) * prior + stack("prior"),
    }


def measure(settings: Settings) -> Part:
    """Milliseconds a frame by section, and what the networks do of the bare loop's products."""
    width, height = settings.size
    part = Part(
        "sections",
        f"Sections, {width}x{height}, crf {settings.crf:g}, {_core.current_kernels()} kernels",
        columns(
            "way | threads | section | ms_per_frame .2f = ms a frame | share .3f | "
            "tokens_per_frame .0f = tokens | share_of_peak .2f = of peak"
        ),
    )
    frames = frames_of(settings, settings.size, settings.frames)
    for threads in settings.threads:
        coding = Coding(settings, frames, _core.current_kernels(), threads)
        found: dict[str, list[Times]] = {way: [] for way in WAYS}
        peaks: list[float | None] = []
        for _ in range(settings.repeats):
            for way, run in coding.ways().items():
                found[way].append(_clocked(run))
            peaks.append(peak_rate(_core.current_kernels(), threads, PEAK_SECONDS))
        for way in WAYS:
            _add_rows(part, settings, way, threads, found[way], peaks)
    part.notes.append(
        "time of the calling thread, without what runs inside a section as another; 'of peak' "
        "counts multiply-adds against the bare loop on as many threads"
    )
    return part


def _clocked(run: Callable[[], object]) -> Times:
    _core.set_section_clock(True)
    try:
        run()
        return _core.section_times()
    finally:
        _core.set_section_clock(False)


def _add_rows(
    part: Part,
    settings: Settings,
    way: str,
    threads: int,
    found: list[Times],
    peaks: list[float | None],
) -> None:
    totals = [sum(seconds for seconds, _, _ in times.values()) for times in found]
    work = multiply_adds(settings.model.config)
    rows: list[dict[str, Value]] = []
    for section in found[0]:
        seconds = [times[section][0] for times in found]
        calls, tokens = found[0][section][1:]
        if calls == 0:
            continue
        shares = [s / total for s, total in zip(seconds, totals, strict=True)]
        of_peak = None
        if section in work and peaks[0]:
            rates = [tokens * work[section] / s for s in seconds]
            of_peak = Spread.of([r / p for r, p in zip(rates, peaks, strict=True) if p])
        rows.append(
            {
                "way": way,
                "threads": threads,
                "section": section,
                "ms_per_frame": Spread.of([1e3 * s / settings.frames for s in seconds]),
                "share": Spread.of(shares).median,
                "calls_per_frame": calls / settings.frames,
                "tokens_per_frame": tokens / settings.frames if tokens else None,
                "share_of_peak": of_peak,
            }
        )
    rows.sort(key=lambda row: -float(str(row["share"])))
    part.rows += rows
    if not all(_sum(times, _TOKENIZER) for times in found):
        return  # all tokens were coded by their samples
    part.facts[f"{way}_{threads}_threads_prior_and_coder_over_tokenizer"] = Spread.of(
        [_sum(times, _PRIOR) / _sum(times, _TOKENIZER) for times in found]
    )


def _sum(times: Times, sections: tuple[str, ...]) -> float:
    return sum(times[section][0] for section in sections)
