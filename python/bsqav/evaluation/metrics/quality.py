"""PSNR, SSIM, MS-SSIM, VMAF, XPSNR and ST-LPIPS of a decoded clip, by libvmaf, FFmpeg, PyTorch.

Both sides are raw y4m of the same size, rate and length, and are paired by frame number: pairing
by timestamps that a container rounded compares neighbours and gives wrong values.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bsqav.evaluation.io.errors import EvaluationError, MissingToolError
from bsqav.evaluation.io.ffmpeg import has_filter, run_ffmpeg
from bsqav.evaluation.io.sources import planes_to_rgb
from bsqav.evaluation.io.y4m import Y4mFile
from bsqav.evaluation.metrics import perceptual

VMAF_MODEL = "vmaf_v0.6.1"
# five dyadic scales of an 11-tap window
MS_SSIM_MIN_SIDE = 176

# metric -> its title
METRICS: Mapping[str, str] = MappingProxyType(
    {
        "psnr_y": "PSNR-Y",
        "psnr_yuv": "PSNR-YUV",
        "ssim": "SSIM",
        "ms_ssim": "MS-SSIM",
        "vmaf": "VMAF",
        "xpsnr": "XPSNR-Y",
        "st_lpips": "ST-LPIPS",
    }
)
# What is measured whatever is asked for, and what a comparison shows by default.
ALWAYS = ("psnr_y", "psnr_yuv", "ms_ssim", "vmaf")
# Between 0 and 1 and crowded at one end: their curves are near straight in dB.
IN_DB = frozenset(("ssim", "ms_ssim", "st_lpips"))
# The smaller, the better.
DISTANCES = frozenset(("st_lpips",))
# metric -> libvmaf's name for it
_LIBVMAF = {"psnr_y": "psnr_y", "ms_ssim": "float_ms_ssim", "vmaf": "vmaf", "ssim": "float_ssim"}
# Frames without an error: libvmaf says 60 dB of 8-bit samples, xpsnr says inf.
_CAP = 60.0
_XPSNR_LINE = re.compile(r"^n:\s*\d+\s+XPSNR y:\s*(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Quality:
    """Quality of a clip against its source; None where not asked for or not defined for the size.

    psnr_y    dB, mean over frames of each frame's PSNR of luma (libvmaf caps a frame at 60 dB)
    psnr_yuv  dB, mean over frames of (6 Y + U + V) / 8 in dB, as in JCT-VC's tables
    ms_ssim   0 to 1, mean over frames, luma
    vmaf      0 to 100, mean over frames, model `vmaf_v0.6.1`
    frames    number of frames compared
    per_frame metric -> one value a frame
    ssim      0 to 1, mean over frames, luma
    xpsnr     dB, mean over frames, luma (Helmrich et al., ICASSP 2020; capped at 60 dB a frame)
    st_lpips  a distance, 0 where equal, mean over `perceptual.FRAMES` frames (not in per_frame)
    """

    psnr_y: float
    psnr_yuv: float
    ms_ssim: float | None
    vmaf: float
    frames: int
    per_frame: dict[str, list[float]]
    ssim: float | None = None
    xpsnr: float | None = None
    st_lpips: float | None = None


def ms_ssim_db(value: float) -> float:
    """MS-SSIM on a logarithmic scale, -10 log10(1 - value), where its curves are near straight."""
    return -10.0 * math.log10(max(1.0 - value, 1e-6))


def to_db(metric: str, value: float) -> float:
    """A metric's value on the scale on which Bjontegaard deltas are computed."""
    if metric not in IN_DB:
        return value
    return ms_ssim_db(1.0 - value if metric in DISTANCES else value)


def measure(decoded: Path, source: Path, metrics: Collection[str] = ALWAYS) -> Quality:
    """Compare two y4m files in one folder, frame by frame.

    metrics  of METRICS, what is wanted besides ALWAYS

    Raises EvaluationError where size, rate, range or frame count differ, or libvmaf fails, and
    MissingToolError where the ffmpeg binary has no filter for what is wanted.
    """
    frames = _check_pair(decoded, source)
    header = Y4mFile(source).header
    wanted = [name for name in METRICS if name in ALWAYS or name in metrics]
    if min(header.width, header.height) < MS_SSIM_MIN_SIDE:
        wanted.remove("ms_ssim")
    if min(header.width, header.height) < perceptual.MIN_SIDE and "st_lpips" in wanted:
        wanted.remove("st_lpips")
    per_frame = _libvmaf(decoded, source, wanted)
    if "xpsnr" in wanted:
        per_frame["xpsnr"] = _xpsnr(decoded, source)
    for metric, values in per_frame.items():
        if len(values) != frames:
            raise EvaluationError(f"{metric} was measured on {len(values)} frames of {frames}")
    means = {metric: sum(values) / len(values) for metric, values in per_frame.items()}
    return Quality(
        psnr_y=means["psnr_y"],
        psnr_yuv=means["psnr_yuv"],
        ms_ssim=means.get("ms_ssim"),
        vmaf=means["vmaf"],
        frames=frames,
        per_frame=per_frame,
        ssim=means.get("ssim"),
        xpsnr=means.get("xpsnr"),
        st_lpips=_st_lpips(decoded, source) if "st_lpips" in wanted else None,
    )


def _filter(decoded: Path, source: Path, name: str, options: str, log: Path) -> str:
    """Runs a filter of two inputs in step, frame by frame, and gives the text of its log."""
    if not has_filter(name):
        raise MissingToolError(f"this ffmpeg has no {name} filter: pip install 'bsqav[compare]'")
    header = Y4mFile(source).header
    rate = f"{header.rate.numerator}/{header.rate.denominator}"
    clock = f"settb=expr={header.rate.denominator}/{header.rate.numerator},setpts=N"
    graph = f"[0:v]{clock}[decoded];[1:v]{clock}[source];[decoded][source]{name}={options}"
    arguments = ["-r", rate, "-i", decoded.name, "-r", rate, "-i", source.name]
    arguments += ["-filter_complex", graph, "-f", "null", "-"]
    try:
        run_ffmpeg(arguments, decoded.parent)
        return log.read_text()
    finally:
        log.unlink(missing_ok=True)


def _libvmaf(decoded: Path, source: Path, wanted: Collection[str]) -> dict[str, list[float]]:
    log = decoded.with_suffix(".vmaf.json")
    features = ["psnr", *(_LIBVMAF[name] for name in ("ssim", "ms_ssim") if name in wanted)]
    options = f"model=version={VMAF_MODEL}:feature={'|'.join(f'name={f}' for f in features)}"
    options += f":n_threads=2:log_fmt=json:log_path={log.name}"
    entries = json.loads(_filter(decoded, source, "libvmaf", options, log))["frames"]

    def column(name: str) -> list[float]:
        try:
            return [float(entry["metrics"][name]) for entry in entries]
        except KeyError as error:
            raise EvaluationError(f"libvmaf's log has no {name}") from error

    found = {metric: column(_LIBVMAF[metric]) for metric in wanted if metric in _LIBVMAF}
    planes = zip(column("psnr_y"), column("psnr_cb"), column("psnr_cr"), strict=True)
    found["psnr_yuv"] = [(6 * y + u + v) / 8 for y, u, v in planes]
    return {metric: found[metric] for metric in METRICS if metric in found}


def _xpsnr(decoded: Path, source: Path) -> list[float]:
    log = decoded.with_suffix(".xpsnr.log")
    # the filter weights errors by the activity of its first input, the original
    text = _filter(source, decoded, "xpsnr", f"stats_file={log.name}", log)
    return [min(_CAP, float(value)) for value in _XPSNR_LINE.findall(text)]


def _st_lpips(decoded: Path, source: Path) -> float:
    ours, theirs = Y4mFile(decoded), Y4mFile(source)
    # video is shown as most players would without tags; both sides alike
    full_range = theirs.header.chroma == "444"
    matrix = "bt709" if theirs.header.height > 576 and not full_range else "bt601"
    values = []
    for i in perceptual.sampled(len(theirs)):
        pair = (planes_to_rgb(clip[i], matrix, full_range) for clip in (ours, theirs))
        values.append(perceptual.st_lpips(*pair))
    return sum(values) / len(values)


def _check_pair(decoded: Path, source: Path) -> int:
    ours, theirs = Y4mFile(decoded), Y4mFile(source)
    if decoded.parent != source.parent:
        raise EvaluationError(f"{decoded} and {source} must lie in one folder")
    if ours.header != theirs.header:
        raise EvaluationError(
            f"{decoded.name} does not match its source: {ours.header} against {theirs.header}"
        )
    if len(ours) != len(theirs) or len(ours) == 0:
        raise EvaluationError(
            f"{decoded.name} has {len(ours)} frames, its source has {len(theirs)}: "
            "nothing is measured on clips of different length"
        )
    return len(ours)
