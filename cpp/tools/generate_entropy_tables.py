"""Writes the tables of cpp/src/entropy: python cpp/tools/generate_entropy_tables.py.

Values are computed with 60 decimal digits and must lie clear of rounding ties, so that every way
of computing them gives the same integers. The files are committed; this script documents them.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal, localcontext
from pathlib import Path

MAX_LOGIT = 2839
COST_TABLE_BITS = 10
STRETCH_BITS = 12
DIGITS = 60
# Distance from a tie that every value must keep: far above the error of 60 digits.
CLEARANCE = Decimal("1e-9")


def round_clear_of_ties(value: Decimal) -> int:
    """The nearest integer; ArithmeticError if the value is within CLEARANCE of a tie."""
    floor = value.to_integral_value(rounding=ROUND_FLOOR)
    fraction = value - floor
    if abs(fraction - Decimal("0.5")) < CLEARANCE:
        raise ArithmeticError(f"{value} is too close to a rounding tie")
    return int(floor) + (1 if fraction > Decimal("0.5") else 0)


def logistic_table() -> list[int]:
    """Entry i is round(65536 / (1 + exp(i / 256))), at least 1, for i in 0 .. 2839."""
    with localcontext() as context:
        context.prec = DIGITS
        values = [Decimal(65536) / (1 + (Decimal(i) / 256).exp()) for i in range(MAX_LOGIT + 1)]
        return [max(1, round_clear_of_ties(value)) for value in values]


def log2_table() -> list[int]:
    """Entry i is round(2^24 * log2(1 + i / 1024)), for i in 0 .. 1024."""
    size = 1 << COST_TABLE_BITS
    with localcontext() as context:
        context.prec = DIGITS
        ln2 = Decimal(2).ln()
        values = [(1 + Decimal(i) / size).ln() / ln2 * (1 << 24) for i in range(size + 1)]
        return [round_clear_of_ties(value) for value in values]


def stretch_table() -> list[int]:
    """Entry i is round(256 * ln(p / (1 - p))) of p = (i + 1/2) / 4096, for i in 0 .. 4095."""
    size = 1 << STRETCH_BITS
    with localcontext() as context:
        context.prec = DIGITS
        odds = [Decimal(2 * i + 1) / (2 * size - 2 * i - 1) for i in range(size)]
        return [round_clear_of_ties(256 * ratio.ln()) for ratio in odds]


def source(purpose: str, header: str, declaration: str, values: list[int], per_line: int) -> str:
    """The C++ source file that defines one table."""
    rows = [values[i : i + per_line] for i in range(0, len(values), per_line)]
    body = ",\n".join("    " + ", ".join(str(value) for value in row) for row in rows)
    return (
        f"// {purpose}\n"
        "// Written by cpp/tools/generate_entropy_tables.py, not to be edited.\n"
        f'#include "entropy/{header}"\n\n'
        "namespace bsq {\n\n"
        "// clang-format off\n"
        f"{declaration} = {{\n{body}}};\n"
        "// clang-format on\n\n"
        "}  // namespace bsq\n"
    )


def write(folder: Path) -> None:
    """Writes the files into the folder."""
    (folder / "logistic_table.cc").write_text(
        source(
            "The table of probabilities by logit.",
            "logistic.h",
            "const uint16_t kLogistic[kMaxLogit + 1]",
            logistic_table(),
            14,
        ),
        encoding="utf-8",
    )
    (folder / "bit_cost_table.cc").write_text(
        source(
            "The table of logarithms behind bit costs.",
            "bit_cost.h",
            "const uint32_t kLog2Q24[(1 << kCostTableBits) + 1]",
            log2_table(),
            9,
        ),
        encoding="utf-8",
    )
    (folder / "stretch_table.cc").write_text(
        source(
            "The table of logits by probability.",
            "mixed_bit.h",
            "const int16_t kStretch[1 << kStretchBits]",
            stretch_table(),
            14,
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[1] / "src" / "entropy")
