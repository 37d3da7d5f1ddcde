"""Recordings of screens, rendered: code that scrolls, a window that moves, slides, typing.

    python benchmarks/screens.py FOLDER [--seed 1] [--frames 60] [--size 640x360]
    bsqav compare FOLDER/*.mkv --frames 60 --codecs x264,x265,svtav1

Writes FOLDER/code.mkv, window.mkv, slides.mkv and typing.mkv (FFV1, yuv420p, 30 frames/s). The seed
sets text, fonts, colours and motion; equal seeds give equal clips with equal fonts. Text has 11
points (15 pixels) and more. Needs the extra `compare`: Matplotlib brings the fonts.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import av
import matplotlib
from PIL import Image, ImageDraw, ImageFont

RATE = 30
TEXT = 15  # pixels of 11 points at 96 dots an inch
LINE = 19
MONOSPACED = ("DejaVuSansMono", "DejaVuSansMono-Bold")
PROPORTIONAL = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "DejaVuSans-Oblique")
SYLLABLES = (
    *("ta", "re", "mi", "con", "to", "ver", "li", "na", "per", "se"),
    *("do", "ka", "lo", "be", "um", "in", "os", "ra", "ti", "en"),
)
KEYWORDS = ["def", "return", "if", "else", "for", "while", "class", "import", "yield", "with"]
THEMES = (  # background, text, keyword, number, comment
    ("#1e1e1e", "#d4d4d4", "#569cd6", "#b5cea8", "#6a9955"),
    ("#ffffff", "#24292f", "#cf222e", "#0550ae", "#6e7781"),
    ("#002b36", "#93a1a1", "#859900", "#2aa198", "#586e75"),
)
ACCENTS = ("#0969da", "#8250df", "#bf3989", "#1a7f37", "#bc4c00")

Size = tuple[int, int]
Clip = Iterator[Image.Image]


@cache
def font(name: str, pixels: int = TEXT) -> ImageFont.FreeTypeFont:
    """A font that Matplotlib brings."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf", f"{name}.ttf"), pixels)


def word(rng: random.Random) -> str:
    """One to three syllables."""
    return "".join(rng.choices(SYLLABLES, k=rng.randint(1, 3)))


def sentence(rng: random.Random, width: int) -> str:
    """Words of about so many characters."""
    words = [word(rng).capitalize()]
    while len(" ".join(words)) < width:
        words.append(word(rng))
    return " ".join(words)


def code_line(rng: random.Random) -> list[tuple[str, int]]:
    """Pieces of a line with the number of their colour in a theme."""
    indent = " " * 4 * rng.randint(0, 4)
    kind = rng.random()
    if kind < 0.12:
        return []
    if kind < 0.25:
        return [(indent, 1), ("# " + sentence(rng, rng.randint(10, 40)), 4)]
    pieces = [(indent, 1)]
    if kind < 0.6:
        pieces.append((rng.choice(KEYWORDS) + " ", 2))
    pieces.append((f"{word(rng)}_{word(rng)} = {word(rng)}(", 1))
    pieces.append((str(rng.randint(0, 999)), 3))
    pieces.append((f", {word(rng)}[{word(rng)}])", 1))
    return pieces


def page_of_code(rng: random.Random, width: int, lines: int) -> Image.Image:
    """Lines of code below each other, with their numbers."""
    theme, face = rng.choice(THEMES), font(rng.choice(MONOSPACED))
    page = Image.new("RGB", (width, lines * LINE), theme[0])
    draw = ImageDraw.Draw(page)
    for number in range(lines):
        y = number * LINE
        draw.text((8, y), f"{number + 1:4}", theme[4], face)
        x = 56.0
        for text, colour in code_line(rng):
            draw.text((x, y), text, theme[colour], face)
            x += face.getlength(text)
    return page


def code(rng: random.Random, size: Size) -> Clip:
    """Code that scrolls by three lines at a time, in a few frames each, and back now and then."""
    page = page_of_code(rng, size[0], 400)
    top, steps = 0.0, [0.0]
    while True:
        if len(steps) == 1:
            lines = rng.choice((3, 3, 3, 3, -3, 9))
            steps = [lines * LINE / 6] * 6 + [0.0] * rng.randint(2, 9)
        top = min(max(0.0, top + steps.pop(0)), page.height - float(size[1]))
        left = round(top)
        yield page.crop((0, left, size[0], left + size[1]))


def desktop(rng: random.Random, size: Size) -> Image.Image:
    """A background in two colours with icons and their names."""
    above, below = (Image.new("RGB", size, rng.choice(ACCENTS)) for _ in range(2))
    mask = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180))).resize(size)
    picture = Image.composite(above, below, mask)
    draw, face = ImageDraw.Draw(picture), font(PROPORTIONAL[0])
    for y in range(16, size[1] - 70, 78):
        for x in range(16, 200, 92):
            draw.rounded_rectangle((x + 14, y, x + 54, y + 40), 8, rng.choice(ACCENTS), "#ffffff")
            draw.text((x + 34, y + 44), word(rng), "#ffffff", face, anchor="mt")
    return picture


def window_of_text(rng: random.Random, size: Size) -> Image.Image:
    """A window with its title and a page of text."""
    picture = Image.new("RGB", size, "#f6f8fa")
    draw, face = ImageDraw.Draw(picture), font(rng.choice(PROPORTIONAL))
    draw.rectangle((0, 0, size[0], 26), rng.choice(ACCENTS))
    draw.text((10, 4), sentence(rng, 12), "#ffffff", face)
    for y in range(34, size[1] - LINE, LINE):
        draw.text((12, y), sentence(rng, size[0] // 9), "#24292f", face)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), None, "#57606a")
    return picture


def window(rng: random.Random, size: Size) -> Clip:
    """A window that is drawn over a desktop and another window, and rests between."""
    back = desktop(rng, size)
    back.paste(window_of_text(rng, (size[0] // 2, size[1] * 2 // 3)), (size[0] // 3, size[1] // 5))
    moved = window_of_text(rng, (size[0] * 2 // 5, size[1] // 2))
    at, path = (20.0, 30.0), [(20.0, 30.0)]
    while True:
        if len(path) == 1:
            goal = rng.uniform(0, size[0] * 0.6), rng.uniform(0, size[1] * 0.5)
            count = rng.randint(12, 30)
            shares = [(i + 1) / count for i in range(count)]
            path = [
                (at[0] + (goal[0] - at[0]) * share, at[1] + (goal[1] - at[1]) * share)
                for share in shares
            ] + [goal] * rng.randint(3, 10)
        at = path.pop(0)
        picture = back.copy()
        picture.paste(moved, (round(at[0]), round(at[1])))
        yield picture


def slide(rng: random.Random, size: Size) -> tuple[Image.Image, list[str], list[int]]:
    """An empty slide with its title, its points, and the bars of its chart."""
    name = rng.choice(PROPORTIONAL)
    picture = Image.new("RGB", size, rng.choice(("#ffffff", "#fffdf5", "#0d1117")))
    ImageDraw.Draw(picture).text((40, 24), sentence(rng, 18), rng.choice(ACCENTS), font(name, 36))
    return picture, [sentence(rng, 26) for _ in range(4)], [rng.randint(20, 160) for _ in range(6)]


def slides(rng: random.Random, size: Size) -> Clip:
    """Slides whose points appear one by one, beside bars that rise."""
    while True:
        picture, points, bars = slide(rng, size)
        face, colour = font(rng.choice(PROPORTIONAL), 20), rng.choice(ACCENTS)
        draw = ImageDraw.Draw(picture)
        for number, point in enumerate(points):
            draw.text((48, 96 + 44 * number), f"\u2022 {point}", "#6e7781", face)
            for frame in range(7):
                share = (number * 7 + frame + 1) / 28
                for i, bar in enumerate(bars):
                    x, bottom = size[0] - 230 + 34 * i, size[1] - 30
                    draw.rectangle((x, bottom - bar * share, x + 24, bottom), colour)
                yield picture.copy()


def typing(rng: random.Random, size: Size) -> Clip:
    """Text that is typed into a page, and a pointer that moves over it."""
    face = font(rng.choice(MONOSPACED))
    page = Image.new("RGB", size, "#ffffff")
    draw = ImageDraw.Draw(page)
    for top in range(10, size[1] // 2, LINE):
        draw.text((12, top), sentence(rng, size[0] // 10), "#24292f", face)
    at, goal = [30.0, 40.0], [400.0, 200.0]
    x, y = 12.0, size[1] // 2 + 10.0
    for frame in range(1 << 30):
        if frame % 3 == 0:
            letter = rng.choice("etaoinshrdlu ")
            draw.text((x, y), letter, "#24292f", face)
            x += face.getlength(letter)
            if x > size[0] - 30:
                x, y = 12.0, min(y + LINE, size[1] - 2.0 * LINE)
        if frame % 25 == 0:
            goal = [rng.uniform(0, size[0] - 20), rng.uniform(0, size[1] - 24)]
        at = [a + (b - a) * 0.12 for a, b in zip(at, goal, strict=True)]
        picture = page.copy()
        over = ImageDraw.Draw(picture)
        if frame % 30 < 15:
            over.line((x + 1, y, x + 1, y + TEXT), "#000000")
        shape = ((0, 0), (0, 17), (4, 13), (7, 19), (9, 18), (6, 12), (12, 12))
        over.polygon([(at[0] + a, at[1] + b) for a, b in shape], "#ffffff", "#000000")
        yield picture


SCENES: dict[str, Callable[[random.Random, Size], Clip]] = {
    "code": code,
    "window": window,
    "slides": slides,
    "typing": typing,
}


def write(path: Path, clip: Clip, size: Size, frames: int) -> None:
    """So many frames of a clip as FFV1."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            frame = av.VideoFrame.from_image(next(clip))
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))


def main() -> None:
    """Parses the arguments and renders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", default="640x360")
    args = parser.parse_args()
    width, height = (int(part) for part in args.size.split("x"))
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        clip = scene(random.Random(f"{name} {args.seed}"), (width, height))
        write(args.folder / f"{name}.mkv", clip, (width, height), args.frames)


if __name__ == "__main__":
    main()
