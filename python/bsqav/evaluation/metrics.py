"""PSNR-Y, MS-SSIM and VMAF of a decoded clip, by libvmaf through ffmpeg.

Both sides are raw y4m of the same size, rate and length, and are paired by frame number: pairing
by timestamps that a container rounded compares neighbours and gives wrong values.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bsqav.evaluation.errors import EvaluationError, MissingToolError
from bsqav.evaluation.ffmpeg import has_filter, run_ffmpeg
from bsqav.evaluation.y4m import Y4mFile

VMAF_MODEL = "vmaf_v0.6.1"
# five dyadic scales of an 11-tap window
MS_SSIM_MIN_SIDE = 176

# metric -> libvmaf's name for it
METRICS: Mapping[str, str] = MappingProxyType(
    {"psnr_y": "psnr_y", "ms_ssim": "float_ms_ssim", "vmaf": "vmaf"}
)


@dataclass(frozen=True)
class Quality:
    """Quality of a clip against its source; None where the metric is not defined for the size.

    psnr_y    dB, mean over frames of each frame's PSNR of luma (libvmaf caps a frame at 60 dB)
    ms_ssim   0 to 1, mean over frames, luma
    vmaf      0 to 100, mean over frames, model `vmaf_v0.6.1`
    frames    number of frames compared
    per_frame metric -> one value a frame
    """

    psnr_y: float
    ms_ssim: float | None
    vmaf: float
    frames: int
    per_frame: dict[str, list[float]]


def ms_ssim_db(value: float) -> float:
    """MS-SSIM on a logarithmic scale, -10 log10(1 - value), where its curves are near straight."""
    return -10.0 * math.log10(max(1.0 - value, 1e-6))


def measure(decoded: Path, source: Path) -> Quality:
    """Compare two y4m files in one folder, frame by frame.

    Raises EvaluationError where size, rate, range or frame count differ, or libvmaf fails, and
    MissingToolError where the ffmpeg binary has no libvmaf.
    """
    if not has_filter("libvmaf"):
        raise MissingToolError("this ffmpeg has no libvmaf filter: pip install 'bsqav[compare]'")
    frames = _check_pair(decoded, source)
    header = Y4mFile(source).header
    with_ms_ssim = min(header.width, header.height) >= MS_SSIM_MIN_SIDE
    log = decoded.with_suffix(".vmaf.json")
    features = "name=psnr|name=float_ms_ssim" if with_ms_ssim else "name=psnr"
    rate = f"{header.rate.numerator}/{header.rate.denominator}"
    clock = f"settb=expr={header.rate.denominator}/{header.rate.numerator},setpts=N"
    graph = (
        f"[0:v]{clock}[decoded];[1:v]{clock}[source];[decoded][source]"
        f"libvmaf=model=version={VMAF_MODEL}:feature={features}:n_threads=2"
        f":log_fmt=json:log_path={log.name}"
    )
    arguments = ["-r", rate, "-i", decoded.name, "-r", rate, "-i", source.name]
    arguments += ["-filter_complex", graph, "-f", "null", "-"]
    try:
        run_ffmpeg(arguments, decoded.parent)
        entries = json.loads(log.read_text())["frames"]
    finally:
        log.unlink(missing_ok=True)
    if len(entries) != frames:
        raise EvaluationError(f"libvmaf compared {len(entries)} frames of {frames}")
    return _pool(entries, with_ms_ssim)


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


def _pool(entries: list[dict[str, dict[str, float]]], with_ms_ssim: bool) -> Quality:
    per_frame: dict[str, list[float]] = {}
    for metric, libvmaf_name in METRICS.items():
        if metric == "ms_ssim" and not with_ms_ssim:
            continue
        try:
            per_frame[metric] = [float(entry["metrics"][libvmaf_name]) for entry in entries]
        except KeyError as error:
            raise EvaluationError(f"libvmaf's log has no {libvmaf_name}") from error
    means = {metric: sum(values) / len(values) for metric, values in per_frame.items()}
    return Quality(means["psnr_y"], means.get("ms_ssim"), means["vmaf"], len(entries), per_frame)
