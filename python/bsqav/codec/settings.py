"""The encoder's settings: one object that holds them, and the keyword arguments it is made of.

libbsq lists them with ranges, defaults and help (`bsq_encoder_settings` in bsq.h). Everything else
comes from that list: the command line, the options of PyAV, GStreamer, imageio and Pillow, and the
tables in the documents.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self, TypedDict

from bsqav import _core
from bsqav.codec.closest import closest
from bsqav.errors import UsageError

__all__ = [
    "SETTINGS",
    "AnimationArguments",
    "EncoderSettings",
    "SettingArguments",
    "StillArguments",
    "check_rate",
    "given_settings",
    "range_text",
    "value_text",
]

SETTINGS: Mapping[str, _core.EncoderSetting] = {s.name: s for s in _core.encoder_settings()}
STILL_CHROMA_CRF_OFFSET = -5
_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "choice": str,
}


class StillArguments(TypedDict, total=False):
    """The settings of a still picture as keyword arguments; None stands for the default."""

    crf: float | None
    preset: str | None
    tune: str | None
    chroma_crf_offset: int | None
    threads: int | None


class AnimationArguments(StillArguments, total=False):
    """Those of an animation."""

    gop: int | None


class SettingArguments(AnimationArguments, total=False):
    """All settings as keyword arguments."""

    bitrate: float | None
    maxrate: float | None
    vbv_buffer: float | None
    scene_cut: bool | None
    lookahead: int | None
    bframes: int | None
    temporal_filter: bool | None
    screen_content: bool | None


def _default(name: str) -> Any:
    return SETTINGS[name].default


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """All settings of an encoder. With a bit rate, crf is not used."""

    crf: float = _default("crf")
    bitrate: float = _default("bitrate")
    maxrate: float = _default("maxrate")
    vbv_buffer: float = _default("vbv_buffer")
    gop: int = _default("gop")
    scene_cut: bool = _default("scene_cut")
    lookahead: int = _default("lookahead")
    bframes: int = _default("bframes")
    temporal_filter: bool = _default("temporal_filter")
    screen_content: bool = _default("screen_content")
    chroma_crf_offset: int = _default("chroma_crf_offset")
    preset: str = _default("preset")
    tune: str = _default("tune")
    threads: int = _default("threads")

    def __post_init__(self) -> None:
        for name, setting in SETTINGS.items():
            object.__setattr__(self, name, _TYPES[setting.type](getattr(self, name)))
        _core.check_encoder_settings(**asdict(self))

    @classmethod
    def for_files(cls) -> Self:
        """The defaults of files, which are coded with a lookahead."""
        return cls(**{name: setting.file_default for name, setting in SETTINGS.items()})

    @classmethod
    def for_stills(cls) -> Self:
        """The defaults of still pictures: colour counts for more where nothing moves."""
        return cls(chroma_crf_offset=STILL_CHROMA_CRF_OFFSET)

    def changed(self, given: Mapping[str, Any]) -> Self:
        """These settings with others in their place; None leaves one as it is.

        Raises:
            UsageError: one is out of range, or some exclude each other.
        """
        wanted = {name: value for name, value in given.items() if value is not None}
        check_rate(wanted)
        return replace(self, **wanted)

    @property
    def keeps_rate(self) -> bool:
        """Whether there is a bit rate or a cap on it to keep."""
        return bool(self.bitrate or self.maxrate)


def value_text(value: Any) -> str:
    """A value of a setting, for people."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}".replace("e+", "e") if isinstance(value, float) else str(value)


def range_text(setting: _core.EncoderSetting) -> str:
    """What a setting may be, for people: `0.1 to 60 seconds`."""
    if setting.type == "boolean":
        return "on or off"
    if setting.choices:
        return f"{', '.join(setting.choices[:-1])} or {setting.choices[-1]}"
    text = f"{value_text(setting.minimum)} to {value_text(setting.maximum)} {setting.unit}".strip()
    return f"{text}, 0: none" if setting.zero_is_none else text


def _described(setting: _core.EncoderSetting) -> str:
    default = "" if setting.zero_is_none else f"; default {value_text(setting.default)}"
    files = f", {setting.file_default} in files" if setting.file_default != setting.default else ""
    return f"{setting.name}: {setting.help}; {range_text(setting)}{default}{files}."


# For help(): the list is the library's.
EncoderSettings.__doc__ = f"{EncoderSettings.__doc__}\n\nArgs:\n" + "\n".join(
    f"    {_described(setting)}" for setting in SETTINGS.values()
)


def given_settings(
    arguments: Mapping[str, Any], call: Callable[..., Any], kind: type = SettingArguments
) -> dict[str, Any]:
    """The settings among a function's keyword arguments that are given, None being none.

    Args:
        arguments: by name.
        call: the function, for the message.
        kind: the TypedDict that names the settings.

    Raises:
        TypeError: one is no setting of that kind.
    """
    known = kind.__annotations__
    for name in arguments:
        if name not in known:
            others = inspect.signature(call).parameters
            meant = closest(name, [*known, *others])
            remedy = f"did you mean {meant}?" if meant else f"its settings are {', '.join(known)}"
            raise TypeError(f"{call.__name__} has no argument {name!r}: {remedy}")
    return {name: value for name, value in arguments.items() if value is not None}


def check_rate(given: Mapping[str, Any]) -> None:
    """Refuses what excludes each other: a quality, a bit rate and what belongs to one.

    Raises:
        UsageError: they do, or a rate is not above 0.
    """
    crf, bitrate, maxrate = (given.get(name) for name in ("crf", "bitrate", "maxrate"))
    if crf is not None and bitrate is not None:
        raise UsageError("crf and bitrate exclude each other: give one of them")
    for name, rate in (("bitrate", bitrate), ("maxrate", maxrate)):
        if rate is not None and not rate > 0:
            raise UsageError(f"{name} {rate} is not above 0 bits per second")
    if bitrate is not None and maxrate is not None and maxrate < bitrate:
        raise UsageError(f"maxrate {maxrate:g} is below the bitrate {bitrate:g}")
    if bitrate is None and maxrate is None and given.get("vbv_buffer") is not None:
        raise UsageError(
            "vbv_buffer goes with a rate: give a bitrate (--bitrate RATE), or a maxrate with crf "
            "(--maxrate RATE)"
        )
