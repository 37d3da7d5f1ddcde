"""Many encoders at once in one process, and how soon a packet comes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bsqav.codec import Decoder, Encoder
from tests.codec.streams import Format, clip, tiny_model
from tests.support import ROOT

SMALL = Format(40, 24)
COUNT, FRAMES, CLIPS = 100, 5, 4


def open_encoder(number: int) -> Encoder:
    crf = 20 + 4 * (number % 7)
    return Encoder(
        40, 24, model=tiny_model(), frame_rate=25, crf=crf, lookahead=number % 4, threads=1
    )


def digest(packets: list[bytes]) -> str:
    """SHA-256 of the decoded planes."""
    found = hashlib.sha256()
    decoder = Decoder(models=[tiny_model()], threads=1, strict=True)
    frames = [frame for data in packets for frame in decoder.decode(data)]
    for frame in [*frames, *decoder.flush()]:
        for plane in frame.planes:
            found.update(plane.tobytes())
    return found.hexdigest()


def test_a_hundred_at_once_are_right() -> None:
    """Interleaved picture by picture in eight threads: each makes what it makes alone."""
    clips = [clip(SMALL, FRAMES, seed) for seed in range(CLIPS)]

    def alone(number: int) -> list[bytes]:
        encoder = open_encoder(number)
        packets = [p.data for planes in clips[number % CLIPS] for p in encoder.encode(planes)]
        return packets + [p.data for p in encoder.flush()]

    encoders = [open_encoder(number) for number in range(COUNT)]
    packets: list[list[bytes]] = [[] for _ in encoders]

    def step(number: int, frame: int) -> None:
        found = encoders[number].encode(clips[number % CLIPS][frame])
        packets[number] += [packet.data for packet in found]

    with ThreadPoolExecutor(8) as pool:
        for frame in range(FRAMES):
            list(pool.map(step, range(COUNT), [frame] * COUNT))
        for number, last in enumerate(pool.map(lambda encoder: encoder.flush(), encoders)):
            packets[number] += [packet.data for packet in last]
    kinds = {number % 28 for number in range(COUNT)}  # clips, qualities, look-aheads repeat
    expected = {kind: alone(kind) for kind in kinds}
    for number, found in enumerate(packets):
        assert found == expected[number % 28], number
    for kind in (0, 1, 2):
        assert digest(packets[kind]) == digest(expected[kind])


@pytest.mark.slow
def test_an_encoder_of_360p_takes_less_than_60_megabytes() -> None:
    """Weights shared, the look-ahead full; the benchmark prints the figure."""
    script = ROOT / "benchmarks" / "many_encoders.py"
    model = ROOT / "tests" / "vectors" / "tiny.bsqm"
    done = subprocess.run(
        [sys.executable, script, "--count", "6", "--model", model],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    each = float(done.stdout.split(" MB each")[0].split()[-1])
    assert 5 < each < 60, done.stdout
    assert "0 with wrong packets" in done.stdout


def test_without_lookahead_each_frame_gives_a_packet() -> None:
    encoder = Encoder(40, 24, model=tiny_model(), frame_rate=25, lookahead=0)
    decoder = Decoder(models=[tiny_model()])
    for number, planes in enumerate(clip(SMALL, 12)):
        packets = encoder.encode(planes)
        assert len(packets) == 1
        assert packets[0].pts == number * 3600
        (frame,) = decoder.decode(packets[0])
        assert frame.pts == number * 3600
    assert encoder.flush() == []
    assert decoder.flush() == []
