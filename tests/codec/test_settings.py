"""The encoder's settings as one object and as keyword arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bsqav
from bsqav.codec import encode_animation
from bsqav.codec.settings import EncoderSettings, SettingArguments
from tests.codec.streams import TINY_MODEL

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
