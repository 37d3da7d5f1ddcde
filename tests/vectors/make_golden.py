"""Makes the golden streams: IVF files of the tiny test model, and golden.json with their hashes.

Run in the repository's root: python -m tests.vectors.make_golden

A golden stream decodes to its hash for ever: this is run when the codestream's version rises, or to
add a stream, never to make a failing test pass. Existing files are kept unless --replace is given.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.codec.streams import Format, clip, decode, encode, stream_hash, tiny_model
from tests.vectors.ivf import write_ivf

FOLDER = Path(__file__).resolve().parent / "golden"
INDEX = FOLDER / "golden.json"
LIMIT = 1_000_000  # bytes of all files together


FAST = {"preset": "fast"}  # codes tokens even where the test model, which knows nothing, is no help


@dataclass(frozen=True)
class Recipe:
    """How one stream is made."""

    form: Format
    frames: int
    crf: float
    options: dict[str, Any] = field(default_factory=dict)
    pts: tuple[int, ...] | None = None
    force: tuple[int, ...] = ()


RECIPES = {
    "1x1": Recipe(Format(1, 1), 4, 20, FAST),
    "1x1_gray": Recipe(Format(1, 1, "gray"), 4, 20, FAST),
    "7x5": Recipe(Format(7, 5), 5, 16, FAST),
    "33x17_gray": Recipe(Format(33, 17, "gray"), 5, 24, FAST),
    "64x48": Recipe(Format(64, 48), 10, 32, {"gop": 4}),
    "64x48_irregular": Recipe(Format(64, 48), 5, 30, FAST, (3, 4, 9, 100, 1000), (3,)),
    "130x98_10bit": Recipe(Format(130, 98, "420", 10), 4, 28, FAST),
    "130x98_gray_10bit": Recipe(Format(130, 98, "gray", 10), 4, 34, FAST),
    "176x144": Recipe(Format(176, 144), 6, 40, FAST),
    "176x144_fine": Recipe(Format(176, 144), 2, 4, FAST),
    "640x360": Recipe(Format(640, 360), 3, 63),
    "1928x488_gray": Recipe(Format(1928, 488, "gray"), 2, 63, FAST),
    "1920x1080": Recipe(Format(1920, 1080), 2, 63, FAST),
}


def make(name: str, recipe: Recipe) -> dict[str, Any]:
    """Writes one stream and returns its entry in the index."""
    form = recipe.form
    stream = encode(
        clip(form, recipe.frames),
        form,
        pts=recipe.pts,
        force=recipe.force,
        crf=recipe.crf,
        **recipe.options,
    )
    pictures = decode(stream.packets)
    size = (form.width, form.height)
    write_ivf(FOLDER / f"{name}.ivf", stream.packets, stream.pts, size, (1, 100))
    return {
        **asdict(form),
        "model": tiny_model().id,
        "frames": len(pictures),
        "keyframes": sum(stream.keyframes),
        "hash": stream_hash(pictures),
    }


def main() -> None:
    """Makes what is missing, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replace", action="store_true", help="make existing streams anew")
    replace = parser.parse_args().replace
    FOLDER.mkdir(exist_ok=True)
    index = json.loads(INDEX.read_text()) if INDEX.exists() and not replace else {}
    for name, recipe in RECIPES.items():
        if name not in index:
            index[name] = make(name, recipe)
            print(name, index[name]["hash"])
    total = sum(path.stat().st_size for path in FOLDER.glob("*.ivf"))
    if total > LIMIT:
        raise SystemExit(f"the streams take {total} bytes together, more than {LIMIT}")
    INDEX.write_text(json.dumps(index, indent=2) + "\n")
    print(f"{len(index)} streams, {total} bytes")


if __name__ == "__main__":
    main()
