"""Threads and kernel sets change neither packets nor pictures."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from bsqav import _core
from tests.codec.streams import Format, Stream, clip, decode, encode, picture_hash

FORMATS = [Format(130, 98), Format(96, 40, "gray", 10), Format(1928, 488, "gray")]


@pytest.fixture(autouse=True)
def _best_kernels_afterwards() -> Iterator[None]:
    yield
    _core.set_kernels(None)


@functools.cache
def of_one_thread(form: Format) -> Stream:
    return encode(clip(form, 3), form, threads=1)


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_do_not_matter(form: Format, threads: int) -> None:
    stream = of_one_thread(form)
    assert encode(clip(form, 3), form, threads=threads).packets == stream.packets
    decoded = decode(stream.packets, threads=threads)
    assert [picture_hash(p) for p in decoded] == stream.hashes


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_kernel_sets_do_not_matter(form: Format) -> None:
    pictures = clip(form, 3)
    _core.set_kernels("scalar")
    stream = encode(pictures, form)
    for name in _core.kernel_sets():
        _core.set_kernels(name)
        assert _core.current_kernels() == name
        if name != "scalar":
            assert encode(pictures, form).packets == stream.packets
        assert [picture_hash(p) for p in decode(stream.packets)] == stream.hashes


@pytest.mark.parametrize("preset", ["fast", "medium", "slow"])
@pytest.mark.parametrize("form", FORMATS[:2], ids=str)
def test_pictures_of_several_layers_are_the_same_everywhere(form: Format, preset: str) -> None:
    """Between keyframes, too, one picture may take more layers than another."""
    pictures = clip(form, 6)
    pictures[4:] = [pictures[3]] * 2  # nothing but what is left of the picture before
    stream = encode(pictures, form, crf=30, preset=preset, scene_cut=False)
    layers = [_core.probe_packet(data)["layers"] for data in stream.packets[1:]]
    assert max(layers) > 1
    assert len(set(layers)) > 1
    for name in _core.kernel_sets():
        _core.set_kernels(name)
        for threads in (1, 2):
            again = encode(pictures, form, crf=30, preset=preset, scene_cut=False, threads=threads)
            assert again.packets == stream.packets
            decoded = decode(stream.packets, threads=threads)
            assert [picture_hash(p) for p in decoded] == stream.hashes
