"""What a benchmark ran on: processor, load, versions, kernel sets, model."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import NotRequired, TypedDict

from bsqav import _core
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.ffmpeg import ffmpeg_version

PACKAGES = ("numpy", "av", "torch", "openvino", "constriction")


class Machine(TypedDict):
    """What a report says of the machine; load_after is added at the end."""

    processor: str
    processors: int | None
    load_before: float | None
    load_after: NotRequired[float]
    system: str
    python: str
    bsqav: str
    kernel_set: str
    kernel_sets: list[str]
    model: str
    model_id: str
    packages: dict[str, str | None]
    ffmpeg: str | None


def processor_name() -> str:
    """As the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def describe(model: _core.Model) -> Machine:
    """This machine; what is not there is None."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    try:
        ffmpeg: str | None = ffmpeg_version().partition(" Copyright")[0]
    except EvaluationError:
        ffmpeg = None
    return {
        "processor": processor_name(),
        "processors": os.cpu_count(),
        "load_before": _load(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "bsqav": _core.__version__,
        "kernel_set": _core.current_kernels(),
        "kernel_sets": _core.kernel_sets(),
        "model": model.name,
        "model_id": model.id,
        "packages": versions,
        "ffmpeg": ffmpeg,
    }
