"""bsqenc and bsqdec in GStreamer pipelines, with audio, to and from files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bsqav
from bsqav.errors import UnsupportedError
from bsqav.integrations import gstreamer
from tests.media.clips import ClipSpec, bsq_stream, pictures, seconds
from tests.support import find_tool, skip_or_fail

pytestmark = pytest.mark.host

VIDEO = "videotestsrc num-buffers=12 ! video/x-raw,format=I420,width=50,height=38,framerate=25/1"
Launch = Callable[..., str]


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gstreamer") / "registry"


def run(registry: Path, *command: str | Path, status: int = 0) -> str:
    find_tool("gst-launch-1.0")
    environment = {**os.environ, "GST_REGISTRY": str(registry)}
    try:
        found = gstreamer.environment()
    except UnsupportedError as error:
        skip_or_fail(str(error))
    for name, folders in found.items():
        environment[name] = os.pathsep.join(map(str, folders))
    result = subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    output = result.stdout + result.stderr
    assert result.returncode == status, output
    return output


@pytest.fixture
def launch(registry: Path) -> Launch:
    def launch(pipeline: str, *, status: int = 0) -> str:
        return run(registry, "gst-launch-1.0", "-q", "-e", *pipeline.split(), status=status)

    return launch


@pytest.fixture
def recorded(launch: Launch, tmp_path: Path) -> Callable[[str], Path]:
    """Runs a pipeline that ends in a muxer and returns the file it writes."""

    def recorded(pipeline: str) -> Path:
        path = tmp_path / "a.mkv"
        launch(f"{pipeline} ! filesink location={path}")
        return path

    return recorded


def written(path: Path) -> list[list[bytes]]:
    """Writes a clip with bsqav; gives its decoded planes."""
    with bsqav.open(path, "w") as container:
        stream = container.add_stream("bsq", rate=25, options={"gop": 4})
        for frame in pictures(ClipSpec(size=(50, 38), frames=12)):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return decoded(path)


def decoded(path: Path) -> list[list[bytes]]:
    with bsqav.open(path) as container:
        return [
            [np.ascontiguousarray(plane).tobytes() for plane in planes_of(frame)]
            for frame in container.decode(video=0)
        ]


def planes_of(frame: Any) -> list[np.ndarray]:
    sizes = [(38, 50), (19, 25), (19, 25)]
    return [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:h, :w]
        for plane, (h, w) in zip(frame.planes, sizes, strict=True)
    ]


def raw_frames(path: Path) -> list[list[bytes]]:
    """Planes of I420 frames of 50x38, whose rows GStreamer pads to four bytes."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    size = 52 * 38 + 2 * 28 * 19
    found = []
    for start in range(0, len(data), size):
        one = data[start : start + size]
        luma = one[: 52 * 38].reshape(38, 52)[:, :50]
        chroma = one[52 * 38 :].reshape(2, 19, 28)[:, :, :25]
        found.append([plane.tobytes() for plane in (luma, chroma[0], chroma[1])])
    return found


def test_gstreamer_knows_both(registry: Path) -> None:
    for name, kind in (("bsqenc", "Encoder"), ("bsqdec", "Decoder")):
        output = run(registry, "gst-inspect-1.0", name)
        assert f"Codec/{kind}/Video" in output
        assert "video/x-bsq" in output
        assert "threads" in output


def test_a_file_with_sound_round_trips(
    recorded: Callable[[str], Path], launch: Launch, tmp_path: Path
) -> None:
    path = recorded(
        f"{VIDEO} ! queue ! bsqenc crf=20 gop=5 lookahead=3 ! queue ! mux. "
        "audiotestsrc num-buffers=40 ! audioconvert ! opusenc ! queue ! mux. "
        "matroskamux name=mux"
    )
    with bsqav.open(path) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.name, video.width, video.height) == ("bsq", 50, 38)
        assert sound.codec_context.name in ("opus", "libopus")
        packets = [packet for packet in container.demux(video) if packet.size]
    assert [float(seconds(p)) for p in packets] == pytest.approx([n / 25 for n in range(12)])
    assert [p.is_keyframe for p in packets] == [n % 5 == 0 for n in range(12)]
    expected = decoded(path)
    launch(
        f"filesrc location={path} ! decodebin name=d "
        f"d. ! video/x-raw ! queue ! filesink location={tmp_path}/a.yuv "
        "d. ! audio/x-raw ! queue ! fakesink"
    )
    assert raw_frames(tmp_path / "a.yuv") == expected


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
def test_decodebin_finds_the_decoder_for_bsqavs_files(
    name: str, launch: Launch, tmp_path: Path
) -> None:
    expected = written(tmp_path / name)
    launch(
        f"filesrc location={tmp_path / name} ! decodebin ! video/x-raw,format=I420 ! "
        f"filesink location={tmp_path}/a.yuv"
    )
    assert raw_frames(tmp_path / "a.yuv") == expected


@pytest.mark.parametrize(
    "kind", ["I420", "I420_10LE", "GRAY8", "Y42B", "Y444_10LE", "A420", "A444_10LE"]
)
def test_each_format_goes_through(kind: str, launch: Launch, tmp_path: Path) -> None:
    video = VIDEO.replace("I420", kind).replace("12", "3")
    launch(
        f"{video} ! bsqenc threads=1 ! video/x-bsq ! bsqdec threads=1 ! "
        f"video/x-raw,format={kind},width=50,height=38,framerate=25/1 ! "
        f"filesink location={tmp_path}/a.yuv"
    )
    assert (tmp_path / "a.yuv").stat().st_size > 3 * 50 * 38


def test_errors_say_what_is_wrong(launch: Launch, tmp_path: Path) -> None:
    output = launch(f"{VIDEO} ! bsqenc model=nothing ! fakesink", status=1)
    assert "model 'nothing' is not installed" in output
    interlaced = VIDEO.replace("video/x-raw,", "video/x-raw,interlace-mode=interleaved,")
    assert "deinterlace" in launch(f"{interlaced} ! bsqenc ! fakesink", status=1)
    (tmp_path / "a.bin").write_bytes(bytes(9000))
    output = launch(
        f"filesrc location={tmp_path}/a.bin ! video/x-bsq ! bsqdec ! fakesink", status=1
    )
    assert "not BSQ" in output


SCRIPT = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstVideo
Gst.init(None)

def wait(pipeline, kinds):
    message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, kinds | Gst.MessageType.ERROR)
    assert message is not None
    assert message.type != Gst.MessageType.ERROR, message.parse_error()

{body}
"""


@pytest.fixture
def script(registry: Path) -> Callable[[str], str]:
    return lambda body: run(registry, "/usr/bin/python3", "-c", SCRIPT.replace("{body}", body))


def test_seeking_shows_the_right_frame(script: Callable[[str], str], tmp_path: Path) -> None:
    expected = written(tmp_path / "a.mkv")
    script(f"""
pipeline = Gst.parse_launch("filesrc location={tmp_path}/a.mkv ! decodebin ! appsink name=a")
pipeline.set_state(Gst.State.PAUSED)
wait(pipeline, Gst.MessageType.ASYNC_DONE)
sink = pipeline.get_by_name("a")
for number in (9, 2, 6):
    flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.ACCURATE
    assert pipeline.seek_simple(Gst.Format.TIME, flags, number * Gst.SECOND // 25 + 1)
    wait(pipeline, Gst.MessageType.ASYNC_DONE)
    sample = sink.emit("pull-preroll")
    buffer = sample.get_buffer()
    number = round(buffer.pts * 25 / Gst.SECOND)
    with buffer.map(Gst.MapFlags.READ) as mapped:
        open(f"{tmp_path}/{{number}}.yuv", "wb").write(mapped.data)
pipeline.set_state(Gst.State.NULL)
""")
    shown = {path.stem: raw_frames(path)[0] for path in tmp_path.glob("*.yuv")}
    assert shown == {str(number): expected[number] for number in (2, 6, 9)}


def test_keyframes_on_demand_and_losses_flagged(script: Callable[[str], str]) -> None:
    output = script(f"""
pipeline = Gst.parse_launch("{VIDEO} ! bsqenc name=e ! identity name=i ! bsqdec ! appsink name=a")
keyframes, count = [], [0]

def on_frame(pad, info):
    if count[0] == 4:
        event = GstVideo.video_event_new_downstream_force_key_unit(0, 0, 0, True, 1)
        count[0] += 1
        pad.send_event(event)
    else:
        count[0] += 1
    return Gst.PadProbeReturn.OK

def on_packet(pad, info):
    key = not info.get_buffer().has_flags(Gst.BufferFlags.DELTA_UNIT)
    keyframes.append(key)
    return Gst.PadProbeReturn.DROP if len(keyframes) == 3 else Gst.PadProbeReturn.OK

pipeline.get_by_name("e").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, on_frame)
pipeline.get_by_name("i").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, on_packet)
sink = pipeline.get_by_name("a")
sink.set_property("sync", False)
pipeline.set_state(Gst.State.PLAYING)
damaged = []
while (sample := sink.emit("pull-sample")) is not None:
    damaged.append(sample.get_buffer().has_flags(Gst.BufferFlags.CORRUPTED))
pipeline.set_state(Gst.State.NULL)
print("keyframes", [n for n, key in enumerate(keyframes) if key])
print("damaged", [n for n, bad in enumerate(damaged) if bad], len(damaged))
""")
    assert "keyframes [0, 4]" in output
    assert "damaged [2] 11" in output


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
def test_times_and_flags_of_b_frames(
    name: str, script: Callable[[str], str], recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    """What bsqenc gives, and what bsqdec gives of a file."""
    coding = "bsqenc lookahead=8 crf=20"
    with bsqav.open(recorded(f"{VIDEO} ! {coding} ! matroskamux")) as container:
        wanted = [packet.is_disposable for packet in container.demux(video=0) if packet.size]
        assert 2 < sum(wanted) < 9
    bsqav.transcode(tmp_path / "a.mkv", tmp_path / f"copy_{name}", codec="copy")
    output = script(f"""
def buffers(description):
    pipeline = Gst.parse_launch(description + " ! appsink name=a sync=false")
    sink = pipeline.get_by_name("a")
    pipeline.set_state(Gst.State.PLAYING)
    while (sample := sink.emit("pull-sample")) is not None:
        yield sample.get_buffer()
    pipeline.set_state(Gst.State.NULL)

packets = list(buffers("{VIDEO} ! {coding}"))
print("droppable", [packet.has_flags(Gst.BufferFlags.DROPPABLE) for packet in packets])
print("coded", [packet.pts for packet in packets])
print("shown", [b.pts for b in buffers("filesrc location={tmp_path}/copy_{name} ! decodebin")])
""")
    times = [n * 40_000_000 for n in range(12)]
    assert f"droppable {wanted}" in output
    assert f"coded {times}" in output
    assert f"shown {times}" in output


def test_properties_hold_from_the_next_frame_on(script: Callable[[str], str]) -> None:
    output = script(f"""
pipeline = Gst.parse_launch("{VIDEO} ! bsqenc name=e crf=20 ! identity name=i ! fakesink")
encoder, sizes, count = pipeline.get_by_name("e"), [], [0]

def on_frame(pad, info):
    count[0] += 1
    if count[0] == 6:
        encoder.set_property("crf", 55.0)
    return Gst.PadProbeReturn.OK

def on_packet(pad, info):
    sizes.append((not info.get_buffer().has_flags(Gst.BufferFlags.DELTA_UNIT),
                  info.get_buffer().get_size()))
    return Gst.PadProbeReturn.OK

encoder.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, on_frame)
pipeline.get_by_name("i").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, on_packet)
pipeline.set_state(Gst.State.PLAYING)
wait(pipeline, Gst.MessageType.EOS)
pipeline.set_state(Gst.State.NULL)
print("keyframes", [n for n, (key, _) in enumerate(sizes) if key])
print("smaller", sizes[5][1] < sizes[0][1])
""")
    assert "keyframes [0, 5]" in output
    assert "smaller True" in output


def test_hdr_metadata_and_rotation_are_carried(recorded: Callable[[str], Path]) -> None:
    path = recorded(
        f"{VIDEO},content-light-level=(string)1000:300 ! "
        "taginject tags=image-orientation=rotate-90 ! bsqenc ! matroskamux"
    )
    with bsqav.open(path) as container:
        stream = bsq_stream(container)
        assert (stream.hdr.max_cll, stream.hdr.max_fall, stream.rotation) == (1000, 300, 90)
        assert len(list(container.decode(stream))) == 12


def test_a_frame_without_a_timestamp_is_named(script: Callable[[str], str]) -> None:
    script("""
source = Gst.parse_launch("appsrc name=s format=time caps=video/x-raw,format=GRAY8,width=16,"
                          "height=16,framerate=25/1 ! bsqenc ! fakesink")
feed = source.get_by_name("s")
source.set_state(Gst.State.PLAYING)
for time in (0, 0, 40):
    buffer = Gst.Buffer.new_wrapped(bytes(256))
    buffer.pts = time * Gst.MSECOND
    feed.emit("push-buffer", buffer)
feed.emit("end-of-stream")
wait(source, Gst.MessageType.WARNING)
wait(source, Gst.MessageType.EOS)
source.set_state(Gst.State.NULL)
""")


def test_the_command_prints_what_a_shell_needs(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bsqav.integrations.gstreamer"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": "/given"}
    shown = subprocess.run(
        ["sh", "-c", f"{result.stdout}\necho $GST_PLUGIN_PATH; echo $PYTHONPATH"],
        capture_output=True,
        text=True,
        check=True,
        env=given,
    ).stdout.splitlines()
    assert (Path(shown[0]) / "python" / "bsqenc.py").is_file()
    folders = shown[1].split(os.pathsep)
    assert folders[-1] == "/given"
    assert all(any(Path(f, name).is_dir() for f in folders) for name in ("bsqav", "numpy", "av"))
