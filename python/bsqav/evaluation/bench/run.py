"""Runs the parts of a benchmark that were asked for."""

import os
import time
from collections.abc import Callable, Sequence

from bsqav.evaluation.bench import (
    codec,
    entropy,
    kernels,
    memory,
    networks,
    reference_encoders,
    sections,
)
from bsqav.evaluation.bench.machine import describe
from bsqav.evaluation.bench.report import Report
from bsqav.evaluation.bench.result import Part, Settings

PARTS: dict[str, Callable[[Settings], Part]] = {
    "codec": codec.measure,
    "sections": sections.measure,
    "kernels": kernels.measure,
    "entropy": entropy.measure,
    "networks": networks.measure,
    "references": reference_encoders.measure,
    "sizes": codec.measure_sizes,
    "memory": memory.measure,
}


def bench(
    settings: Settings, parts: Sequence[str], command: str, progress: Callable[[str], None]
) -> Report:
    """Measures `parts`, names of PARTS, in that order; `progress` gets the name of each part.

    Raises EvaluationError where something that was measured gave a wrong result.
    """
    report = Report(command, describe(settings.model), [])
    for name in parts:
        progress(f"{name} ...")
        began = time.perf_counter()
        part = PARTS[name](settings)
        part.seconds = time.perf_counter() - began
        report.parts.append(part)
    if hasattr(os, "getloadavg"):
        report.machine["load_after"] = round(os.getloadavg()[0], 2)
    return report
