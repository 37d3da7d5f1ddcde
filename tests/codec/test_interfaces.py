"""What users of Encoder and Decoder rely on: low delay, losses, threads, memory shared."""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bsqav.codec import Decoder, Encoder, Frame, Packet
from bsqav.errors import BitstreamError, UsageError
from tests.codec.streams import TINY_MODEL, Format, clip, tiny_model

CLIP = clip(Format(50, 38), 9)


def encoder(**options: Any) -> Encoder:
    given = {"time_base": Fraction(1, 100), "frame_rate": 25, "gop": 5, "scene_cut": False}
    return Encoder(50, 38, model=TINY_MODEL, threads=1, **{**given, **options})


def coded() -> list[Packet]:
    session = encoder()
    return [packet for planes in CLIP for packet in session.encode(planes)]


def decoder(**options: Any) -> Decoder:
    return Decoder(models=[tiny_model()], threads=1, **options)


def test_each_picture_goes_through_at_once() -> None:
    sender, receiver = encoder(), decoder()
    for number, planes in enumerate(CLIP):
        (packet,) = sender.encode(planes)
        (frame,) = receiver.decode(packet)
        assert frame.pts == packet.pts == 4 * number
    assert sender.flush() == []
    assert receiver.flush() == []


def concealed(frames: list[Frame]) -> list[tuple[int, bool]]:
    return [(frame.pts // 4, frame.concealed) for frame in frames]


def test_a_reported_loss_repeats_the_last_frame_at_once() -> None:
    packets, receiver = coded(), decoder()
    frames = [frame for packet in packets[:2] for frame in receiver.decode(packet)]
    (stand_in,) = receiver.lost()
    assert np.array_equal(stand_in.planes[0], frames[1].planes[0])
    frames.append(stand_in)
    frames += [frame for packet in packets[3:] for frame in receiver.decode(packet)]
    expected = [(n, n in (2, 3, 4)) for n in range(9)]
    assert concealed(frames) == expected


def test_a_loss_may_have_its_own_time() -> None:
    packets, receiver = coded(), decoder()
    receiver.decode(packets[0])
    assert [frame.pts for frame in receiver.lost(pts=7)] == [7]
    assert [frame.pts for frame in receiver.lost(pts=3)] == [11]


def test_an_unreported_loss_is_detected() -> None:
    packets, receiver = coded(), decoder()
    frames = [frame for packet in packets[:2] + packets[3:] for frame in receiver.decode(packet)]
    assert concealed(frames) == [(n, n in (3, 4)) for n in range(9) if n != 2]


def test_a_loss_before_the_first_picture_shows_nothing() -> None:
    receiver = decoder()
    assert receiver.lost() == []
    assert receiver.decode(coded()[0])


def test_a_strict_decoder_takes_a_loss_for_an_error() -> None:
    packets, receiver = coded(), decoder(strict=True)
    receiver.decode(packets[0])
    with pytest.raises(BitstreamError):
        receiver.lost()
    assert receiver.decode(packets[5])


def test_other_threads_run_while_the_codec_works() -> None:
    """No thread gives way to another by itself here: only the codec can let the counter run."""
    big = clip(Format(640, 360), 1)[0]
    sender, receiver = Encoder(640, 360, model=TINY_MODEL), decoder()
    packets = [packet for _ in range(30) for packet in sender.encode(big)]
    stop, count = threading.Event(), [0]

    def work() -> None:
        while not stop.is_set():
            count[0] += 1
            time.sleep(0.0005)

    def run(act: Callable[[Any], Any], items: list[Any]) -> bool:
        seen = count[0]
        return any(act(item) and count[0] > seen for item in items)

    before = sys.getswitchinterval()
    thread = threading.Thread(target=work)
    sys.setswitchinterval(1000)
    try:
        thread.start()
        assert run(sender.encode, [big] * 30)
        assert run(receiver.decode, packets)
    finally:
        stop.set()
        sys.setswitchinterval(before)
        thread.join()


def test_many_sessions_share_threads_and_stay_right() -> None:
    expected = [packet.data for packet in coded()]
    results: list[list[bytes]] = [[] for _ in range(8)]

    def work(number: int) -> None:
        results[number] = [packet.data for packet in coded()]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8


@pytest.mark.slow
def test_a_hundred_encoders_at_once_share_the_weights() -> None:
    planes = clip(Format(640, 360), 1)[0]

    def session() -> tuple[Encoder, bytes]:
        one = Encoder(640, 360, threads=1)
        return one, one.encode(planes)[0].data

    kept = [session()]
    before = _resident()
    kept += [session() for _ in range(100)]
    assert (_resident() - before) / 100 < 60e6
    assert len({data for _, data in kept}) == 1


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_planes_are_arrays_that_outlive_the_decoder() -> None:
    packets, receiver = coded(), decoder()
    (frame,) = receiver.decode(packets[0])
    kept = [plane.copy() for plane in frame.planes]
    for packet in packets[1:]:
        receiver.decode(packet)
    del receiver
    for plane, copy in zip(frame.planes, kept, strict=True):
        assert plane.flags.writeable
        assert plane.flags.owndata
        assert np.array_equal(plane, copy)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_planes_become_tensors_on_the_same_memory(pix_fmt: str) -> None:
    pytest.importorskip("torch")
    import torch
    from torch.utils.dlpack import from_dlpack

    deep = pix_fmt.endswith("10le")
    planes = [plane.astype(np.uint16) * 4 if deep else plane for plane in CLIP[0]]
    (packet,) = encoder(pix_fmt=pix_fmt).encode(planes)
    (frame,) = decoder().decode(packet)
    for plane in frame.planes:
        tensor = from_dlpack(plane)
        assert tensor.data_ptr() == plane.ctypes.data
        assert tensor.dtype == (torch.uint16 if deep else torch.uint8)
        assert np.from_dlpack(plane).ctypes.data == plane.ctypes.data


def test_tensors_are_coded_as_arrays_are() -> None:
    pytest.importorskip("torch")
    import torch

    (expected,) = encoder().encode(CLIP[0])
    (packet,) = encoder().encode([torch.from_numpy(plane) for plane in CLIP[0]])
    assert packet.data == expected.data
    rgb = np.random.default_rng(0).integers(0, 256, (38, 50, 3), np.uint8)
    assert encoder().encode(torch.from_numpy(rgb))[0].data == encoder().encode(rgb)[0].data
    with pytest.raises(UsageError, match="gradient"):
        encoder().encode(torch.zeros(38, 50, requires_grad=True))
