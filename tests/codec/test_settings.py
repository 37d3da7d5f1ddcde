"""The encoder's settings as one object and as keyword arguments."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, get_type_hints

import numpy as np
import pytest

import bsqav
from bsqav import _core
from bsqav.codec import encode_animation
from bsqav.codec.settings import (
    SETTINGS,
    EncoderSettings,
    SettingArguments,
    range_text,
    value_text,
)
from tests.codec.streams import TINY_MODEL
from tests.support import ROOT

PICTURE = np.zeros((16, 16, 3), np.uint8)
CALLS: dict[str, Callable[..., Any]] = {
    "Encoder": lambda **more: bsqav.Encoder(16, 16, model=TINY_MODEL, **more),
    "transcode": lambda **more: bsqav.transcode("none.mkv", "no.mkv", **more),
    "encode_image": lambda **more: bsqav.encode_image(PICTURE, **more),
    "encode_animation": lambda **more: encode_animation([PICTURE], **more),
}


def test_arguments_and_fields_have_the_same_names() -> None:
    fields = {field.name for field in dataclasses.fields(EncoderSettings)}
    assert fields == set(SettingArguments.__annotations__)


def test_one_object_or_keywords_or_both() -> None:
    settings = EncoderSettings(crf=40, preset="fast")
    assert CALLS["Encoder"](settings=settings).settings == settings
    assert CALLS["Encoder"](crf=40, preset="fast", tune=None).settings == settings
    assert CALLS["Encoder"](settings=settings, crf=20).settings.crf == 20


@pytest.mark.parametrize("name", CALLS)
def test_an_unknown_argument_names_the_nearest(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} has no argument 'pre_set': did you mean preset"):
        CALLS[name](pre_set="fast")
    with pytest.raises(TypeError, match="did you mean model"):
        CALLS[name](modle="tiny")


def test_settings_of_videos_are_none_of_stills() -> None:
    with pytest.raises(TypeError, match="no argument 'bitrate': its settings are crf"):
        bsqav.encode_image(PICTURE, bitrate=1e6)  # type: ignore[call-arg]


def test_fields_and_defaults_are_those_of_the_library() -> None:
    defaults = {setting.name: setting.default for setting in _core.encoder_settings()}
    assert dataclasses.asdict(EncoderSettings()) == defaults
    assert list(dataclasses.asdict(EncoderSettings())) == list(defaults)
    hints = get_type_hints(EncoderSettings)
    kinds = {"integer": int, "number": float, "boolean": bool, "choice": str}
    for name, setting in SETTINGS.items():
        assert hints[name] is kinds[setting.type]
        assert type(setting.default) is kinds[setting.type]
    assert EncoderSettings.for_files() == EncoderSettings(lookahead=24)
    assert EncoderSettings.for_stills() == EncoderSettings(chroma_crf_offset=-5)


def test_help_lists_them() -> None:
    said = EncoderSettings.__doc__ or ""
    for setting in SETTINGS.values():
        assert f"    {setting.name}: {setting.help}" in said
    assert "`help(bsqav.EncoderSettings)`" in (bsqav.Encoder.__doc__ or "")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crf": 64}, "crf must be 0 to 63, not 64"),
        ({"crf": float("nan")}, "crf must be 0 to 63, not nan"),
        ({"gop": 0}, "gop must be 1 to 65535 frames, not 0"),
        ({"bitrate": 1e11}, "bitrate must be 0, or 1 to 1e10 bits per second, not"),
        ({"vbv_buffer": 0.01}, "vbv_buffer must be 0.1 to 60 seconds, not 0.01"),
        ({"chroma_crf_offset": -8}, "chroma_crf_offset must be -7 to 0, not -8"),
        ({"preset": "quick"}, "preset must be fast, medium or slow, not quick"),
    ],
)
def test_out_of_range(given: dict[str, Any], message: str) -> None:
    with pytest.raises(bsqav.UsageError, match=message):
        EncoderSettings(**given)
    with pytest.raises(bsqav.UsageError, match=message):
        _core.check_encoder_settings(**given)


def test_the_options_of_the_ffmpeg_wrapper() -> None:
    """FFmpeg's table is static: its ranges and defaults are those of the list."""
    folder = ROOT / "integrations" / "ffmpeg"
    table = (folder / "libbsqenc_config.c").read_text()
    numbers = dict(re.findall(r'NUMBER\("(\w+)",[^;]*?, (-?\w+, -?\w+, \w+)\)', table))
    assert numbers["lookahead"] == f"FF_BSQ_NOT_GIVEN, FF_BSQ_NOT_GIVEN, {maximum('lookahead')}"
    for name in ("scene_cut", "screen_content", "temporal_filter"):
        assert numbers[name] == f"{int(SETTINGS[name].default)}, 0, 1"
    chroma = SETTINGS["chroma_crf_offset"]
    assert numbers["chroma_crf_offset"] == f"{chroma.default}, {chroma.minimum:.0f}, 0"
    header = (folder / "libbsqenc.h").read_text()
    assert f"#define FF_BSQ_MAX_CRF {maximum('crf')}\n" in header
    assert '{"bf", "-1"}' in (folder / "libbsqenc.c").read_text()
    assert f'{{"g", "{SETTINGS["gop"].default}"}}' in (folder / "libbsqenc.c").read_text()
    for name in (name for name, setting in SETTINGS.items() if setting.type == "choice"):
        choices = re.search(rf'#define {name.upper()}_HELP "(.*)"', table)
        assert choices is not None
        assert range_text(SETTINGS[name]) in choices[1]


def maximum(name: str) -> str:
    return value_text(SETTINGS[name].maximum)
