"""Frames of streams without B frames may have the keyframe as a long-term reference."""

from __future__ import annotations

from typing import Any

import pytest

from bsqav import _core
from tests.codec.streams import Format, clip, decode, encode

FORM = Format(96, 64)
MOVING = clip(FORM, 8, 3)


def second_references(packets: list[bytes]) -> list[int]:
    """The index of the second reference of every frame, -1 where it has none."""
    found = []
    for index, packet in enumerate(packets):
        (frame,) = _core.probe_frames(packet)
        found.append(index + frame["forth"] if frame["forth"] else -1)
    return found


@pytest.mark.parametrize("options", [{"lookahead": 0}, {"lookahead": 6, "bframes": 0}])
def test_the_keyframe_is_a_second_reference(options: dict[str, Any]) -> None:
    stream = encode(MOVING, FORM, crf=30, scene_cut=False, **options)
    assert second_references(stream.packets) == [-1, -1, *[0] * (len(MOVING) - 2)]
    pictures = decode(stream.packets)
    assert len(pictures) == len(MOVING)
    # Nothing is predicted from what is shown later.
    assert not any(picture.b_frame for picture in pictures)
    assert sum(_core.probe_packet(packet)["b_frames"] for packet in stream.packets) == 0


def test_a_repeated_frame_has_the_frame_before_alone() -> None:
    """The mean of two references would change what needs no bits."""
    pictures = [*MOVING[:4], *[MOVING[3]] * 4, *MOVING[4:6]]
    stream = encode(pictures, FORM, crf=30, scene_cut=False, lookahead=0)
    assert second_references(stream.packets) == [-1, -1, 0, 0, *[-1] * 4, 0, 0]


def test_the_fast_preset_searches_one_reference() -> None:
    stream = encode(MOVING, FORM, crf=30, scene_cut=False, lookahead=0, preset="fast")
    assert second_references(stream.packets) == [-1] * len(MOVING)


def test_streams_with_b_frames_have_p_frames_where_one_follows_the_other() -> None:
    """A group of one frame: its anchor follows the anchor before."""
    stream = encode(MOVING[:3], FORM, crf=30, gop=2, lookahead=6)
    assert second_references(stream.packets) == [-1, -1, -1]
