"""The temporal filter: the noise it removes, where it is off, and that threads do not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core
from tests.codec.streams import Format, Plane, Stream, clip, decode, encode, picture_hash

FORM = Format(96, 72)
OPTIONS: dict[str, Any] = {"lookahead": 12, "preset": "fast", "crf": 32}


def noisy(pictures: list[list[Plane]], form: Format = FORM, deviation: float = 6) -> Any:
    """The same with noise that is another in every picture."""
    rng = np.random.default_rng(1)
    top = (1 << form.bit_depth) - 1
    scale = 1 << (form.bit_depth - 8)

    def spoil(plane: Plane) -> npt.NDArray[Any]:
        noise = np.rint(rng.normal(0, deviation * scale, plane.shape))
        return np.clip(plane + noise, 0, top).astype(plane.dtype)

    return [[spoil(plane) for plane in planes] for planes in pictures]


def bits(stream: Stream) -> int:
    return 8 * sum(map(len, stream.packets))


def luma_error(stream: Stream, clean: list[list[Plane]]) -> npt.NDArray[np.float64]:
    """Mean squared error of every picture shown."""
    shown = decode(stream.packets)
    pairs = zip(shown, clean, strict=True)
    return np.array([np.mean((np.asarray(s.planes[0], float) - c[0]) ** 2) for s, c in pairs])


FORMS = [
    Format(96, 72),
    Format(130, 98),
    Format(50, 70, "422"),
    Format(24, 40, "422", 10, alpha=1),
    Format(64, 48, "444", 10),
    Format(48, 80, "gray", 10),
    Format(1, 1),
]


@pytest.mark.parametrize("form", FORMS)
def test_threads_and_kernels_do_not_matter_and_it_decodes(form: Format) -> None:
    pictures = noisy(clip(form, 10, calm=True), form)
    stream = encode(pictures, form, threads=1, **OPTIONS)
    assert encode(pictures, form, threads=3, **OPTIONS).packets == stream.packets
    assert [picture_hash(p) for p in decode(stream.packets)] == stream.hashes
    _core.set_kernels("scalar")
    try:
        assert encode(pictures, form, **OPTIONS).packets == stream.packets
    finally:
        _core.set_kernels(None)


@pytest.mark.parametrize("form", [FORM, Format(64, 48, "444", 10)])
def test_noise_costs_fewer_bits_and_less_of_it_stays(form: Format) -> None:
    clean = clip(form, 1) * 17
    pictures = noisy(clean, form)
    off = encode(pictures, form, temporal_filter=False, **OPTIONS)
    on = encode(pictures, form, **OPTIONS)
    assert bits(on) < 0.9 * bits(off)
    assert luma_error(on, clean).mean() < luma_error(off, clean).mean()


def test_motion_is_followed() -> None:
    clean = clip(FORM, 17, calm=True)
    pictures = noisy(clean)
    off = encode(pictures, FORM, temporal_filter=False, **OPTIONS)
    on = encode(pictures, FORM, **OPTIONS)
    assert bits(on) < bits(off)
    assert luma_error(on, clean).mean() < luma_error(off, clean).mean()


@pytest.mark.parametrize(
    "options",
    [
        {"lookahead": 0},  # no later pictures
        {"gop": 1},  # nothing is predicted
        {"crf": 8},  # nearly lossless
    ],
)
def test_where_it_is_off(options: dict[str, Any]) -> None:
    pictures = noisy(clip(FORM, 10))
    options = OPTIONS | options
    on = encode(pictures, FORM, **options).packets
    assert on == encode(pictures, FORM, temporal_filter=False, **options).packets


def test_only_keyframes_without_b_frames() -> None:
    pictures = noisy(clip(FORM, 10))
    options = OPTIONS | {"bframes": 0, "scene_cut": False}
    on = encode(pictures, FORM, **options).packets
    off = encode(pictures, FORM, temporal_filter=False, **options).packets
    assert on[0] != off[0]


def test_the_first_keyframe_of_a_bit_rate_is_filtered() -> None:
    pictures = noisy(clip(FORM, 10))
    options: dict[str, Any] = {"lookahead": 12, "preset": "fast", "bitrate": 100_000}
    on = encode(pictures, FORM, **options).packets
    off = encode(pictures, FORM, temporal_filter=False, **options).packets
    assert on[0] != off[0]


@pytest.mark.parametrize("scene_cut", [True, False])
def test_no_scene_reaches_into_another(scene_cut: bool) -> None:
    """What is coded of a scene is what is coded of it alone."""
    scenes = [noisy(clip(FORM, count, seed=seed)) for count, seed in ((11, 0), (9, 9))]
    options = OPTIONS | {"scene_cut": scene_cut}
    both = encode([*scenes[0], *scenes[1]], FORM, force=[11], **options)
    assert [n for n, key in enumerate(both.keyframes) if key] == [0, 11]
    second = encode(scenes[1], FORM, pts=range(44, 80, 4), **options)
    packets = [_core.set_packet_group_counter(packet, 1) for packet in second.packets]
    assert both.packets[11:] == packets


def test_the_psnr_is_that_of_what_was_sent() -> None:
    pictures = noisy(clip(FORM, 9, calm=True))
    stream = encode(pictures, FORM, **OPTIONS)
    errors = luma_error(stream, pictures)
    told = [stats["psnr_y"] for stats in stream.stats]
    assert told == pytest.approx(list(10 * np.log10(255**2 / errors)), abs=1e-3)
