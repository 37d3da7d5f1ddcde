"""A benchmark as JSON, as text for a terminal, and as Markdown for docs/benchmarks.md."""

import dataclasses
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from bsqav.evaluation.bench.machine import Machine
from bsqav.evaluation.bench.result import Part, Value
from bsqav.evaluation.bench.timing import Spread
from bsqav.evaluation.io.text import align

WIDTH = 80


@dataclass(frozen=True)
class Report:
    """Everything that was measured, and what it was measured on and with."""

    command: str
    machine: Machine
    parts: list[Part]

    def to_json(self) -> str:
        """One object: `command`, `machine`, `parts` by name; a spread as median, low, high."""
        parts = {
            part.name: {
                "title": part.title,
                "seconds": part.seconds,
                "rows": [{k: _plain(v) for k, v in row.items()} for row in part.rows],
                "facts": {k: _plain(v) for k, v in part.facts.items()},
                "notes": part.notes,
            }
            for part in self.parts
        }
        content = {"command": self.command, "machine": self.machine, "parts": parts}
        return json.dumps(content, indent=2)

    def to_text(self) -> str:
        """Tables for a terminal of 80 columns."""
        blocks = ["\n".join(_wrapped(line) for line in self.head())]
        for part in self.parts:
            lines = [_wrapped(part.title)]
            if part.rows:
                lines += _table(part)
            lines += [
                _wrapped(f"{spoken(name)}: {shown(v, '.2f')}") for name, v in part.facts.items()
            ]
            lines += [_wrapped(f"note: {note}") for note in part.notes]
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks)

    def to_markdown(self) -> str:
        """Sections with tables."""
        blocks = ["\n".join([f"    {self.command}", "", *(f"- {x}" for x in self.head()[1:])])]
        for part in self.parts:
            lines = [f"### {part.title}", ""]
            if part.rows:
                lines.append("| " + " | ".join(c.heading for c in part.columns) + " |")
                lines.append("|" + "---|" * len(part.columns))
                lines += ["| " + " | ".join(row) + " |" for row in _cells(part, spreads=True)]
                lines.append("")
            lines += [f"- {spoken(name)}: {shown(v, '.2f')}" for name, v in part.facts.items()]
            lines += [f"- {note}" for note in part.notes]
            blocks.append("\n".join(lines).rstrip())
        return "\n\n".join(blocks)

    def head(self) -> list[str]:
        """The command, then what it ran on and with, a line each."""
        m = self.machine
        packages = [f"{name} {version}" for name, version in m["packages"].items() if version]
        return [
            self.command,
            f"{m['processor']}, {m['processors']} processors, {m['system']}, "
            f"load {m['load_before']} before and {m.get('load_after')} after",
            f"bsqav {m['bsqav']}, kernels {m['kernel_set']} of {', '.join(m['kernel_sets'])}; "
            f"model {m['model']} {m['model_id']}",
            "; ".join([f"Python {m['python']}", *packages, m["ffmpeg"] or "no ffmpeg"]),
            "medians (lowest-highest where there is room)",
        ]


def _plain(value: Value) -> object:
    return dataclasses.asdict(value) if isinstance(value, Spread) else value


def shown(value: Value, spec: str) -> str:
    """A figure as text by a format specification, - where there is none."""
    if value is None:
        return "-"
    if isinstance(value, int | str):
        return str(value)
    return format(value, spec)


def spoken(name: str) -> str:
    """A key of JSON as words."""
    return name.replace("_", " ")


def _cells(part: Part, *, spreads: bool) -> list[Sequence[str]]:
    """The table's cells, of spreads the medians alone where they are not wanted."""
    rows: list[Sequence[str]] = []
    for row in part.rows:
        values = [row.get(c.key) for c in part.columns]
        if not spreads:
            values = [v.median if isinstance(v, Spread) else v for v in values]
        rows.append([shown(v, c.spec) for v, c in zip(values, part.columns, strict=True)])
    return rows


def _table(part: Part) -> list[str]:
    """Lines of equal columns; with spreads, unless that makes them too long."""
    head = [c.heading for c in part.columns]
    lines = align([head, *_cells(part, spreads=True)])
    if max(map(len, lines)) > WIDTH:
        lines = align([head, *_cells(part, spreads=False)])
    return lines


def _wrapped(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False)
