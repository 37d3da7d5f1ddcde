"""Curves of training runs from their records, a panel for each run.

    python benchmarks/curves.py RUN... --out curves.svg [--figure psnr]

RUN is the folder of a run, whose log.jsonl is read, or such a file by another name. Drawn is the
first of psnr, bits_per_token, loss that the record has, or --figure; besides the values themselves
their running mean over a tenth of the run.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from bsqav.evaluation.compare.plots import COLORS, new_figure, save

FIGURES = {
    "psnr": "PSNR of batches, dB",
    "bits_per_token": "bits a token",
    "loss": "loss",
}
COLUMNS = 3


def read_record(run: Path, figure: str | None) -> tuple[str, list[int], list[float]]:
    """Name of a figure, and its steps and values. ValueError for a record without it."""
    path = run / "log.jsonl" if run.is_dir() else run
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = [figure] if figure else list(FIGURES)
    name = next((name for name in names if lines and name in lines[0]), None)
    if name is None:
        known = ", ".join(lines[0]) if lines else "nothing"
        raise ValueError(f"{path} has no {' or '.join(names)}, but {known}")
    held = [line for line in lines if line.get(name) is not None]  # null: no number
    return name, [line["step"] for line in held], [float(line[name]) for line in held]


def running_mean(values: list[float]) -> list[float]:
    """Over the tenth of the values that ends at each."""
    width = max(1, len(values) // 10)
    parts = [values[max(0, i + 1 - width) : i + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def main() -> None:
    """Parses the arguments and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, required=True, help="an .svg or .png file")
    parser.add_argument("--figure", help="name of a figure in the records")
    args = parser.parse_args()
    rows = math.ceil(len(args.runs) / COLUMNS)
    columns = min(COLUMNS, len(args.runs))
    drawing = new_figure(3.2 * columns, 2.3 * rows)
    panels = drawing.subplots(rows, columns, squeeze=False).flatten()
    for panel, run in zip(panels, args.runs, strict=False):
        try:
            name, steps, values = read_record(run, args.figure)
        except (OSError, ValueError, KeyError) as error:
            parser.error(str(error))
        panel.plot(steps, values, color=COLORS[1], alpha=0.35, linewidth=1)
        panel.plot(steps, running_mean(values), color=COLORS[1], linewidth=1.6)
        panel.set_title(run.name if run.is_dir() else run.stem, fontsize=9)
        panel.set_ylabel(FIGURES.get(name, name), fontsize=8)
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.25)
    for panel in panels[len(args.runs) :]:
        panel.set_axis_off()
    save(drawing, args.out, 130)
    print(f"{args.out}: {len(args.runs)} runs")


if __name__ == "__main__":
    main()
