"""A benchmark as one HTML file that needs nothing else: tables with a bar under every figure."""

from html import escape

from bsqav.evaluation.bench.report import Report, shown, spoken
from bsqav.evaluation.bench.result import Column, Part, Value
from bsqav.evaluation.bench.timing import Spread
from bsqav.evaluation.compare.report import style

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>bsqav bench</title>
<style>
{style}
.figure i {{ display: block; height: 4px; border-radius: 2px; background: var(--c1); }}
.figure i {{ margin: 3px 0 0 auto; }}
</style>
<script>
document.documentElement.setAttribute("data-theme",
  window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
</script>
</head>
<body>
<header class="top"><h1>bsqav bench</h1></header>
<main>
<pre>{command}</pre>
<ul class="quiet">
{head}
</ul>
{parts}
</main>
</body>
</html>
"""


def bench_page(report: Report) -> str:
    """The page as text; it follows the system's light or dark and works without its script."""
    command, *head = report.head()
    return _PAGE.format(
        style=style(),
        command=escape(command),
        head="\n".join(f"<li>{escape(line)}</li>" for line in head),
        parts="\n".join(_section(part) for part in report.parts),
    )


def _section(part: Part) -> str:
    facts = [f"{spoken(name)}: {shown(value, '.2f')}" for name, value in part.facts.items()]
    lines = "".join(f"<li>{escape(line)}</li>" for line in (*facts, *part.notes))
    below = f'<ul class="quiet">{lines}</ul>' if lines else ""
    return f"<section><h2>{escape(part.title)}</h2>{_table(part)}{below}</section>"


def _table(part: Part) -> str:
    if not part.rows:
        return ""
    most = {column.key: _most(part, column) for column in part.columns}
    head = "".join(f"<th>{escape(column.heading)}</th>" for column in part.columns)
    rows = "".join(
        "<tr>" + "".join(_cell(row.get(c.key), c, most[c.key]) for c in part.columns) + "</tr>"
        for row in part.rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _middle(value: Value) -> float | None:
    """A measured figure; words and counts are none."""
    if isinstance(value, Spread):
        return value.median
    return value if isinstance(value, float) else None


def _most(part: Part, column: Column) -> float:
    values = [_middle(row.get(column.key)) for row in part.rows]
    return max((value for value in values if value is not None), default=0.0)


def _cell(value: Value, column: Column, most: float) -> str:
    text = escape(shown(value.median if isinstance(value, Spread) else value, column.spec))
    if isinstance(value, Spread):
        low, high = (format(end, column.spec) for end in (value.low, value.high))
        text += f"<small>{escape(low)} to {escape(high)}</small>"
    middle = _middle(value)
    if middle is None or most <= 0:
        return f"<td>{text}</td>"
    return f'<td class="figure">{text}<i style="width: {100 * middle / most:.1f}%"></i></td>'
