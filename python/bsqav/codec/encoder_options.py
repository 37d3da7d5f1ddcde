"""Options of a BSQ stream as PyAV's callers give them: in our names or FFmpeg's, often as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bsqav.errors import UsageError

__all__ = ["encoder_settings", "with_bsq_preset"]

_BITS = re.compile(r"(\d+(?:\.\d+)?)([kKMG]?)")
_FACTORS = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def _bits(text: Any) -> float:
    """A number of bits: 2M, 800k or 1500000."""
    match = _BITS.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _FACTORS[match[2]]


def _switch(text: Any) -> bool:
    """No for 0, false and no."""
    return str(text).lower() not in ("0", "false", "no")


_OPTIONS: Mapping[str, Callable[[Any], Any]] = {
    "crf": float,
    "bitrate": _bits,
    "maxrate": _bits,
    "vbv_buffer": float,
    "gop": int,
    "lookahead": int,
    "scene_cut": _switch,
    "threads": int,
    "parallel": int,
    "preset": str,
    "tune": str,
    "model": lambda model: model,
}
# FFmpeg's and x264's names of the same.
_OTHER_NAMES = {
    "b": "bitrate",
    "g": "gop",
    "rc-lookahead": "lookahead",
    "rc_lookahead": "lookahead",
    "sc_threshold": "scene_cut",
}
_BUFSIZE = "bufsize"  # in bits, where our own vbv_buffer is in seconds of the rate
# x264's presets, which are those of FFmpeg's users, to ours.
_PRESETS = {
    **dict.fromkeys(("ultrafast", "superfast", "veryfast", "faster"), "fast"),
    **dict.fromkeys(("slower", "veryslow", "placebo"), "slow"),
}


def with_bsq_preset(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings, with BSQ's preset in place of one of x264's."""
    preset = given.get("preset")
    return {**given, "preset": _PRESETS.get(preset, preset)} if preset else dict(given)


def _check_names(options: Mapping[str, Any]) -> None:
    """Refuses options that BSQ does not have."""
    unknown = set(options) - set(_OPTIONS) - set(_OTHER_NAMES) - {_BUFSIZE}
    if unknown:
        raise UsageError(
            f"BSQ has no option {', '.join(sorted(unknown))}; there are {', '.join(_OPTIONS)}, and "
            f"in FFmpeg's names {', '.join(_OTHER_NAMES)}, {_BUFSIZE}"
        )


def encoder_settings(
    options: Mapping[str, Any], *, bit_rate: int | None = None, gop_size: int | None = None
) -> dict[str, Any]:
    """The arguments of `Encoder` that options stand for.

    Args:
        options: by name; a value may be text.
        bit_rate, gop_size: the stream's attributes, which options of these names override.

    Raises:
        UsageError: BSQ has no such option, one is given twice, or a value is none of its kind.
    """
    _check_names(options)
    settings: dict[str, Any] = {}
    for key, value in options.items():
        name = _OTHER_NAMES.get(key, key)
        if name in settings:
            raise UsageError(f"the option {key} is given twice: {name} is the same")
        try:
            settings[name] = _bits(value) if name == _BUFSIZE else _OPTIONS[name](value)
        except (TypeError, ValueError):
            raise UsageError(f"option {key} cannot be {value!r}") from None
    if bit_rate and "crf" not in settings:
        settings.setdefault("bitrate", float(bit_rate))
    if gop_size is not None:
        settings.setdefault("gop", gop_size)
    # 0 is FFmpeg's word for keyframes alone.
    if settings.get("gop") == 0:
        settings["gop"] = 1
    settings = with_bsq_preset(settings)
    _take_bufsize(settings)
    return settings


def _take_bufsize(settings: dict[str, Any]) -> None:
    bits = settings.pop(_BUFSIZE, None)
    if bits is None:
        return
    rate = settings.get("maxrate", settings.get("bitrate"))
    if rate is None:
        raise UsageError("bufsize goes with a bit rate: give one (b, or maxrate with crf)")
    if "vbv_buffer" in settings:
        raise UsageError("vbv_buffer and bufsize are the same: give one of them")
    settings["vbv_buffer"] = bits / rate
