"""Options of a BSQ stream as PyAV's callers give them: in our names or FFmpeg's, often as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bsqav._core import EncoderSetting
from bsqav.codec.settings import SETTINGS
from bsqav.errors import UsageError

__all__ = ["FFMPEG_NAMES", "encoder_arguments", "with_bsq_preset"]

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


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "number": float,
    "boolean": _switch,
    "choice": str,
}


def _reader(setting: EncoderSetting) -> Callable[[Any], Any]:
    if setting.unit == "bits per second":
        return _bits
    return _READERS[setting.type]


_OPTIONS: Mapping[str, Callable[[Any], Any]] = {
    **{name: _reader(setting) for name, setting in SETTINGS.items()},
    "parallel": int,
    "model": lambda model: model,
}
# FFmpeg's and x264's names of settings, where they differ from ours.
FFMPEG_NAMES = {
    "bitrate": "b",
    "bframes": "bf",
    "gop": "g",
    "lookahead": "rc-lookahead",
    "scene_cut": "sc_threshold",
    "vbv_buffer": "bufsize",  # in bits, where ours is in seconds of the rate
}
_BUFSIZE = FFMPEG_NAMES["vbv_buffer"]
_OTHER_NAMES = {theirs: ours for ours, theirs in FFMPEG_NAMES.items() if theirs != _BUFSIZE}
_OTHER_NAMES["rc_lookahead"] = "lookahead"
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


def encoder_arguments(
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
    found: dict[str, Any] = {}
    for key, value in options.items():
        name = _OTHER_NAMES.get(key, key)
        if name in found:
            raise UsageError(f"the option {key} is given twice: {name} is the same")
        try:
            found[name] = _bits(value) if name == _BUFSIZE else _OPTIONS[name](value)
        except (TypeError, ValueError):
            raise UsageError(f"option {key} cannot be {value!r}") from None
    if bit_rate and "crf" not in found:
        found.setdefault("bitrate", float(bit_rate))
    if gop_size is not None:
        found.setdefault("gop", gop_size)
    # 0 is FFmpeg's word for keyframes alone.
    if found.get("gop") == 0:
        found["gop"] = 1
    found = with_bsq_preset(found)
    _take_bufsize(found)
    return found


def _take_bufsize(found: dict[str, Any]) -> None:
    bits = found.pop(_BUFSIZE, None)
    if bits is None:
        return
    rate = found.get("maxrate", found.get("bitrate"))
    if rate is None:
        raise UsageError("bufsize goes with a bit rate: give one (b, or maxrate with crf)")
    if "vbv_buffer" in found:
        raise UsageError("vbv_buffer and bufsize are the same: give one of them")
    found["vbv_buffer"] = bits / rate
