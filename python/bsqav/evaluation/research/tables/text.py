"""A table for a terminal, in the paper's columns."""

from __future__ import annotations

from bsqav.evaluation.io.text import align
from bsqav.evaluation.research.features import FeatureNetwork
from bsqav.evaluation.research.tables.rows import Row
from bsqav.evaluation.research.tables.table import Table

__all__ = ["table_text"]

# field of a row: title, digits
COLUMNS = {
    "bpp": ("bpp", ".4f"),
    "psnr": ("PSNR", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "ms_ssim": ("MS-SSIM", ".4f"),
    "ms_ssim_db": ("dB", ".2f"),
    "lpips": ("LPIPS", ".4f"),
    "distance": ("r", ".4g"),
}
TIMES = {
    "encode_ms": ("encode", ".1f"),
    "entropy_ms": ("AC", ".1f"),
    "entropy_decode_ms": ("AC back", ".1f"),
    "decode_ms": ("decode", ".1f"),
    "fps": ("fps", ".1f"),
}


def table_text(table: Table, network: FeatureNetwork | None) -> str:
    """Rows, and below them how they were measured."""
    protocol = table.protocol
    columns = {name: COLUMNS[name] for name in ("bpp", *protocol.columns)} | TIMES
    if "distance" in columns:
        columns["distance"] = (f"r{network.title if network else 'FID'}", ".4g")
    head = ["codec", "setting", *(title for title, _ in columns.values())]
    rows = [[row.codec, row.setting, *_cells(row, columns)] for row in table.rows]
    lines = [f"{protocol.name}: {protocol.title}, {table.items} of {protocol.data}"]
    lines += align([head, *rows])
    lines += [f"  {note}" for note in table.notes]
    if network is not None:
        lines.append(f"  r{network.title} with {network.source}")
    return "\n".join(lines)


def _cells(row: Row, columns: dict[str, tuple[str, str]]) -> list[str]:
    values = ((getattr(row, name), shape) for name, (_, shape) in columns.items())
    return ["-" if value is None else format(value, shape) for value, shape in values]
