"""Writes the tables of encoder settings into the documents: `python docs/settings_tables.py`.

A table lies between the lines `<!-- settings: NAME -->` and `<!-- end of settings -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from bsqav._core import EncoderSetting
from bsqav.cli.settings import metavar_of, option_of
from bsqav.codec.encoder_options import FFMPEG_NAMES
from bsqav.codec.settings import (
    SETTINGS,
    AnimationArguments,
    StillArguments,
    range_text,
    value_text,
)

DOCS = Path(__file__).parent
DOCUMENTS = ("cli.md", "integrations.md")
_PLACE = re.compile(r"(<!-- settings: (\w+) -->\n).*?(<!-- end of settings -->\n)", re.DOTALL)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _default(setting: EncoderSetting, *, files: bool) -> str:
    if setting.zero_is_none:
        return "none"
    return f"`{value_text(setting.file_default if files else setting.default)}`"


def _options() -> str:
    """The options of `bsqav transcode`, with the defaults of files."""
    text = _row("option", "meaning", "values", "default") + _row(*["---"] * 4)
    for name, setting in SETTINGS.items():
        option = f"`{option_of(name)}{metavar_of(setting)}`"
        if setting.type == "boolean":
            option += f", `{option_of(name).replace('--', '--no-', 1)}`"
        values = range_text(setting).partition(", 0:")[0]
        text += _row(option, setting.help, values, _default(setting, files=True))
    return text


def _names() -> str:
    """The names in other programs, with the defaults of the library."""
    text = _row("setting", "also", "GStreamer", "`.bsq` files", "values", "default")
    text += _row(*["---"] * 6)
    for name, setting in SETTINGS.items():
        stills = "stills and animations" if name in StillArguments.__annotations__ else "-"
        if stills == "-" and name in AnimationArguments.__annotations__:
            stills = "animations"
        other = f"`{FFMPEG_NAMES[name]}`" if name in FFMPEG_NAMES else "-"
        gstreamer = f"`{name.replace('_', '-')}`"
        default = _default(setting, files=False)
        text += _row(f"`{name}`", other, gstreamer, stills, range_text(setting), default)
    return text


TABLES: dict[str, Callable[[], str]] = {"options": _options, "names": _names}


def with_tables(text: str) -> str:
    """A document with its tables as they are to be."""
    return _PLACE.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}{match[3]}", text)


def main() -> None:
    """Writes them."""
    for name in DOCUMENTS:
        path = DOCS / name
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
