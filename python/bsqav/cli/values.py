"""Values on the command line: times, sizes, rates; and figures for people to read."""

from __future__ import annotations

import argparse
import re
from fractions import Fraction

__all__ = [
    "frame_rate",
    "human_size",
    "human_time",
    "pixel_size",
    "printable",
    "rate",
    "seconds",
    "size",
]

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):(?=[0-5]?\d(?:\.|s|$)))?(\d+(?:\.\d*)?|\.\d+)s?")
_SIZE = re.compile(r"(-[12]|\d+)[xX:×](-[12]|\d+)")
_PERCENT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s?%")
_RATE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([kKmM]?)")
_FACTORS = {"": 1, "k": 1000, "m": 1_000_000}


def seconds(text: str) -> Fraction:
    """A time: seconds, MM:SS or HH:MM:SS, with a fraction where wanted."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 12.5, 1:30 or 00:01:30.25")
    hours, minutes, rest = match.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + Fraction(rest.rstrip("."))


def size(text: str) -> tuple[int, int] | Fraction:
    """A frame size: WxH, -1 for the side that follows from the proportions; or a part, as 50%."""
    percent = _PERCENT.fullmatch(text)
    if percent is not None and (part := Fraction(percent[1].rstrip(".")) / 100):
        return part
    match = _SIZE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: 640x360, 640x-1, -1x360 or 50%")
    # ffmpeg says -2 for a side that follows and is even, as it always is here.
    width, height = (-1 if side == "-2" else int(side) for side in match.groups())
    return width, height


def pixel_size(text: str) -> tuple[int, int]:
    """A size in pixels: WxH."""
    found = size(text)
    if isinstance(found, Fraction):
        raise argparse.ArgumentTypeError(f"{text!r} is no size in pixels: 640x360")
    return found


def rate(text: str) -> int:
    """Bits per second: 800k, 2.5M or 1500000."""
    match = _RATE.fullmatch(text)
    if match is None or not Fraction(match[1].rstrip(".") or 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no bit rate: 800k, 2.5M or 1500000")
    return round(Fraction(match[1].rstrip(".")) * _FACTORS[match[2].lower()])


def frame_rate(text: str) -> Fraction:
    """Frames per second: 25, 23.976 (which means 24000/1001) or 30000/1001."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no frame rate: 25, 29.97 or 30000/1001")
    film = Fraction(round(value) * 1000, 1001)
    return film if abs(value - film) < Fraction(1, 100) and value != round(value) else value


def human_size(count: float) -> str:
    """A number of bytes in three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.4g} TB"


def human_time(value: float) -> str:
    """A number of seconds as M:SS or H:MM:SS."""
    whole = round(value)
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def printable(text: str) -> str:
    """Text for a terminal: tags and names in files may hold codes that would command it."""
    parts = (char if char.isprintable() else " " if char in "\n\t" else "\ufffd" for char in text)
    return "".join(parts)
