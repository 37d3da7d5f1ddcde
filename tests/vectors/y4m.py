"""YUV4MPEG2, as the C example writes it, for comparison with the hashes of golden streams."""

from __future__ import annotations

import hashlib
from pathlib import Path


def y4m_hash(path: Path) -> str:
    """SHA-256 of the samples of a file (8 or 10 bits), headers left out."""
    data = path.read_bytes()
    at = data.index(b"\n") + 1
    fields = {field[:1]: field[1:] for field in data[: at - 1].decode().split()[1:]}
    width, height = int(fields["W"]), int(fields["H"])
    columns, rows = (width + 1) // 2, (height + 1) // 2
    chroma = {"mono": 0, "420": columns * rows, "422": columns * height, "444": width * height}
    form = fields["C"].removesuffix("10").removesuffix("p")
    size = width * height * (2 if form.endswith("alpha") else 1)
    size += 2 * chroma[form.removesuffix("alpha")]
    if fields["C"].endswith("10"):
        size *= 2
    digest = hashlib.sha256()
    while at < len(data):
        if data[at : at + 6] != b"FRAME\n":
            raise ValueError(f"{path}: byte {at}: no frame begins here")
        digest.update(data[at + 6 : at + 6 + size])
        at += 6 + size
    return digest.hexdigest()
