"""The encoder's settings as options of a command."""

from __future__ import annotations

import argparse
from typing import Any

from bsqav._core import EncoderSetting
from bsqav.cli.values import rate
from bsqav.codec.settings import SETTINGS, range_text, value_text

__all__ = ["add_settings", "metavar_of", "option_of"]

_EXCLUSIVE = {"crf", "bitrate"}


def option_of(name: str) -> str:
    """The option that sets a setting."""
    return f"--{name.replace('_', '-')}"


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds an option for every setting; None stands for the default of files."""
    exclusive = parser.add_mutually_exclusive_group()
    for name, setting in SETTINGS.items():
        group = exclusive if name in _EXCLUSIVE else parser
        group.add_argument(option_of(name), help=_help(setting), **_kind(setting))


def _help(setting: EncoderSetting) -> str:
    default = f", default {value_text(setting.file_default)}"
    wanted = "" if setting.type == "boolean" else f": {range_text(setting).partition(', 0:')[0]}"
    return f"{setting.help}{wanted}{'' if setting.zero_is_none else default}"


def metavar_of(setting: EncoderSetting) -> str:
    """What is shown for the value after the option, with a space before it."""
    if setting.type == "boolean":
        return ""
    word = {"bits per second": "RATE", "seconds": "SECONDS"}.get(setting.unit, "N")
    return " NAME" if setting.type == "choice" else f" {word}"


def _kind(setting: EncoderSetting) -> dict[str, Any]:
    """How argparse reads it. Other encoders than BSQ have choices of their own."""
    if setting.type == "boolean":
        return {"action": argparse.BooleanOptionalAction}
    reader: dict[str, Any] = {"integer": int, "number": float, "choice": str}
    is_rate = setting.unit == "bits per second"
    return {
        "type": rate if is_rate else reader[setting.type],
        "metavar": metavar_of(setting).strip(),
    }
