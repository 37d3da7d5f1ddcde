"""Makes the golden streams: IVF files of the test model, and golden.json with their hashes.

Run in the repository's root: python -m tests.vectors.make_golden [NAME...]

From release 0.1.0 on a golden stream decodes to its hash for ever: this is run to add a stream,
never to make a failing test pass. Existing files are kept unless --replace is given.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.codec.streams import (
    Format,
    clip,
    decode,
    encode,
    picture_hash,
    stream_hash,
    tiny_model,
)
from tests.codec.text import scrolling
from tests.reference.bitstream import PacketParser
from tests.vectors.ivf import write_ivf

FOLDER = Path(__file__).resolve().parent / "golden"
INDEX = FOLDER / "golden.json"
LIMIT = 400_000  # bytes of all files together

B_FRAMES = {"lookahead": 24, "bframes": 7}
FAST = {"preset": "fast"}  # codes tokens even where they are not worth their bits


@dataclass(frozen=True)
class Recipe:
    """How one stream is made."""

    form: Format
    frames: int
    crf: float
    options: dict[str, Any] = field(default_factory=dict)
    pts: tuple[int, ...] | None = None
    force: tuple[int, ...] = ()
    calm: bool = False
    text: int | None = None  # not that clip, but text that scrolls by so many rows
    cut: int | None = None  # the number of the frame from which on the clip is another one
    left_out: tuple[int, ...] = ()  # packets that are not in the file


RECIPES = {
    "1x1": Recipe(Format(1, 1), 4, 12, FAST),
    "1x1_gray": Recipe(Format(1, 1, "gray"), 4, 12, FAST),
    "7x5": Recipe(Format(7, 5), 5, 8, FAST),
    "33x17_gray": Recipe(Format(33, 17, "gray"), 5, 16, FAST),
    "64x48": Recipe(Format(64, 48), 10, 24, {"gop": 4}),
    "64x48_irregular": Recipe(Format(64, 48), 5, 22, FAST, (3, 4, 9, 100, 1000), (3,)),
    "130x98_10bit": Recipe(Format(130, 98, "420", 10), 4, 20, FAST),
    "130x98_gray_10bit": Recipe(Format(130, 98, "gray", 10), 4, 26, FAST),
    "176x144": Recipe(Format(176, 144), 6, 36),
    "176x144_fine": Recipe(Format(176, 144), 2, 0, FAST),
    "640x360": Recipe(Format(640, 360), 3, 60),
    "1928x488_gray": Recipe(Format(1928, 488, "gray"), 2, 40, FAST),
    "1920x1080": Recipe(Format(1920, 1080), 2, 50, FAST),
    "1x1_gray_alpha": Recipe(Format(1, 1, "gray", 8, 1), 4, 12, FAST),
    "33x17_422": Recipe(Format(33, 17, "422"), 6, 16, {**FAST, "gop": 4}),
    "64x48_444": Recipe(Format(64, 48, "444"), 6, 24),
    "47x40_alpha_irregular": Recipe(
        Format(47, 40, "420", 8, 1), 5, 22, FAST, (3, 4, 9, 100, 1000), (3,)
    ),
    "35x54_422_alpha_10bit": Recipe(Format(35, 54, "422", 10, 1), 4, 26, FAST),
    "50x41_444_alpha_10bit": Recipe(Format(50, 41, "444", 10, 1), 4, 30, FAST),
    "1288x720_gray_alpha": Recipe(Format(1288, 720, "gray", 8, 1), 2, 60, FAST),
    # With finer chroma, as stills have it, and coarser.
    "88x72_chroma": Recipe(Format(88, 72), 5, 30, {"chroma_crf_offset": -5}),
    "41x30_chroma_10bit": Recipe(Format(41, 30, "420", 10), 4, 44, {"chroma_crf_offset": 0}),
    # With B frames.
    "64x48_b7": Recipe(Format(64, 48), 20, 24, {**B_FRAMES, "preset": "slow"}),
    "50x38_b15_10bit": Recipe(
        Format(50, 38, "420", 10), 36, 32, {**B_FRAMES, "bframes": 15}, calm=True
    ),
    "35x27_422_b7": Recipe(Format(35, 27, "422"), 12, 22, {**B_FRAMES, **FAST}),
    "44x36_444_alpha_b7": Recipe(Format(44, 36, "444", 8, 1), 10, 28, B_FRAMES, calm=True),
    "57x33_gray_b7_cut": Recipe(Format(57, 33, "gray"), 21, 24, B_FRAMES, calm=True, cut=11),
    "40x40_b3_irregular": Recipe(
        *(Format(40, 40), 9, 26, {**B_FRAMES, **FAST, "bframes": 3}),
        *((3, 4, 9, 100, 1000, 1001, 1007, 1020, 1021), (6,)),
    ),
    # Two groups of pictures; the first one ends before a frame that was coded ahead.
    "48x40_b7_ends_early": Recipe(
        Format(48, 40), 20, 26, {**B_FRAMES, "gop": 13}, calm=True, left_out=(10, 11, 12)
    ),
    # Without packets of frames to which no other one refers.
    "48x40_b7_thinned": Recipe(Format(48, 40), 17, 26, B_FRAMES, left_out=(3, 7, 11, 15)),
    "1288x720_gray_b7": Recipe(Format(1288, 720, "gray"), 9, 63, {**B_FRAMES, **FAST}),
    # With sample-coded tokens.
    "128x104_text": Recipe(Format(128, 104), 4, 28, text=4),
    "130x98_text_b7_10bit": Recipe(Format(130, 98, "420", 10), 10, 30, B_FRAMES, text=3),
    "96x72_gray_text": Recipe(Format(96, 72, "gray"), 3, 20, FAST, text=0),
    "70x50_422_alpha_text": Recipe(Format(70, 50, "422", 8, 1), 3, 26, text=2),
    "1312x736_text": Recipe(Format(1312, 736), 2, 40, FAST, text=6),
}


def make(name: str, recipe: Recipe) -> dict[str, Any]:
    """Writes one stream and returns its entry in the index."""
    form = recipe.form
    frames = (
        clip(form, recipe.frames, calm=recipe.calm)
        if recipe.text is None
        else scrolling(form, recipe.frames, recipe.text)
    )
    if recipe.cut is not None:
        frames[recipe.cut :] = clip(form, recipe.frames - recipe.cut, seed=1, calm=recipe.calm)
    stream = encode(
        frames, form, pts=recipe.pts, force=recipe.force, crf=recipe.crf, **recipe.options
    )
    kept = [i for i in range(recipe.frames) if i not in recipe.left_out]
    packets, pts = [stream.packets[i] for i in kept], [stream.pts[i] for i in kept]
    decoded = decode(packets, strict=True)
    assert [picture_hash(frame) for frame in decoded] == [stream.hashes[i] for i in kept]
    write_ivf(FOLDER / f"{name}.ivf", packets, pts, (form.width, form.height), (1, 100))
    return {
        **asdict(form),
        "model": tiny_model().id,
        "frames": len(packets),
        "keyframes": sum(stream.keyframes[i] for i in kept),
        "b_frames": b_frames(packets),
        "hash": stream_hash(decoded),
    }


def b_frames(packets: Sequence[bytes]) -> int:
    """How many of the frames coded in a stream are B frames."""
    parser = PacketParser()
    return sum(frame.forth > 0 for packet in packets for frame in parser.parse(packet).frames)


def names_to_make(
    index: Mapping[str, Any], chosen: Sequence[str], *, replace: bool = False
) -> list[str]:
    """The names of RECIPES, or those chosen of them, that are not in the index or to be replaced.

    Raises:
        SystemExit: a name is that of no stream.
    """
    for name in chosen:
        if name not in RECIPES:
            raise SystemExit(f"no stream is named {name}; known: {', '.join(RECIPES)}")
    return [name for name in chosen or RECIPES if replace or name not in index]


def main() -> None:
    """Makes what is missing, or what is to be replaced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="streams to make, default: all")
    parser.add_argument("--replace", action="store_true", help="make existing streams anew")
    arguments = parser.parse_args()
    index = json.loads(INDEX.read_text()) if INDEX.exists() else {}
    for name in names_to_make(index, arguments.names, replace=arguments.replace):
        index[name] = make(name, RECIPES[name])
        print(name, index[name]["hash"])
    total = sum((FOLDER / f"{name}.ivf").stat().st_size for name in RECIPES if name in index)
    if total > LIMIT:
        raise SystemExit(f"the streams take {total} bytes together, more than {LIMIT}")
    INDEX.write_text(json.dumps(index, indent=2) + "\n")
    print(f"{len(index)} streams, {total} bytes")


if __name__ == "__main__":
    main()
