"""The encoder's settings: one object that holds them, and the keyword arguments it is made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypedDict

from bsqav.codec.closest import closest
from bsqav.errors import UsageError

__all__ = [
    "AnimationArguments",
    "EncoderSettings",
    "SettingArguments",
    "StillArguments",
    "check_rate",
    "given_settings",
]


class StillArguments(TypedDict, total=False):
    """The settings of a still picture as keyword arguments; None stands for the default."""

    crf: float | None
    preset: str | None
    tune: str | None
    threads: int | None


class AnimationArguments(StillArguments, total=False):
    """Those of an animation."""

    gop: int | None


class SettingArguments(AnimationArguments, total=False):
    """All settings as keyword arguments; `EncoderSettings` describes them."""

    bitrate: float | None
    maxrate: float | None
    vbv_buffer: float | None
    scene_cut: bool | None
    lookahead: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """All settings of an encoder.

    Attributes:
        crf: quality from 0 (finest) to 63 (coarsest); not used with a bit rate.
        bitrate: bits per second instead of a quality, 1 to 1e10; 0: none. The mean over ten seconds
            and more is within 5 % of it, as far as 0 to 63 reach.
        maxrate: bits per second at which a receiver reads, 1 to 1e10; 0: none. With crf it caps the
            rate: frames are as crf asks, and coarser where the receiver's VBV buffer would
            underflow; a cap that is never reached changes nothing. With a bit rate, not below that,
            it leaves more to the hard frames.
        vbv_buffer: with a bit rate or a maxrate, the receiver's VBV buffer in seconds at that rate,
            0.1 to 60. No frame makes it underflow.
        gop: most frames from one keyframe to the next, 1 to 65535.
        scene_cut: also put keyframes at scene cuts.
        lookahead: frames to look ahead, 0 to 250: what later frames are predicted from gets more
            bits. A frame's packet comes when so many more frames have been sent; with 0, at once.
        threads: 1 to 64, 0 for the number of processors.
        preset: "fast", "medium" or "slow".
        tune: what bits are spent on: "psnr" for the mean squared error alone, "perceptual" for
            coarse structure and flat areas, as eyes and MS-SSIM judge; "balanced" between them.
    """

    crf: float = 32.0
    bitrate: float = 0.0
    maxrate: float = 0.0
    vbv_buffer: float = 1.5
    gop: int = 250
    scene_cut: bool = True
    lookahead: int = 0
    threads: int = 0
    preset: str = "medium"
    tune: str = "balanced"

    @classmethod
    def for_files(cls) -> Self:
        """The defaults of files, which are coded with a lookahead."""
        return cls(lookahead=24)

    def changed(self, given: Mapping[str, Any]) -> Self:
        """These settings with others in their place; None leaves one as it is.

        Raises:
            UsageError: some exclude each other.
        """
        wanted = {name: value for name, value in given.items() if value is not None}
        check_rate(wanted)
        return replace(self, **wanted)

    @property
    def keeps_rate(self) -> bool:
        """Whether there is a bit rate or a cap on it to keep."""
        return bool(self.bitrate or self.maxrate)

    def to_core(self) -> dict[str, Any]:
        """The keyword arguments of `_core.Encoder`."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values["vbv_buffer_seconds"] = values.pop("vbv_buffer")
        return values


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
