"""Ablations: two settings or builds on a synthetic clip, their bits, the cache, what is refused."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bsqav
from bsqav import _core
from bsqav.codec.models import find_model
from bsqav.errors import UsageError
from bsqav.evaluation.ablation import bits
from bsqav.evaluation.ablation.builds import Build, BuildCodec
from bsqav.evaluation.ablation.run import ANCHOR, AblationConfig, ablate, clip_form
from bsqav.evaluation.ablation.table import format_ablation, log_row
from bsqav.evaluation.compare.comparison import ClipForm, CompareResult
from bsqav.evaluation.compare.results import Point
from bsqav.evaluation.io.cache import Cache
from bsqav.evaluation.io.coding import encode
from bsqav.evaluation.io.errors import EvaluationError, SourceError
from bsqav.evaluation.io.y4m import Y4mFile
from tests.codec.streams import TINY_MODEL
from tests.support import ROOT

from .conftest import FRAMES, HEADER, write_y4m

TINY = {"model": str(TINY_MODEL)}
CONFIG = AblationConfig((20.0, 28.0, 36.0, 44.0), jobs=2)
KINDS = ["keyframes", "motion", "flag", "delta q", "sample", "token", "overhead"]
Made = tuple[Path, Cache, CompareResult]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Made:
    """A clip, the cache, and the defaults compared with a keyframe every four frames."""
    del ffmpeg
    folder = tmp_path_factory.mktemp("ablation")
    clip = write_y4m(folder / "moving.y4m", HEADER, FRAMES)
    cache = Cache(folder / "kept")
    return clip, cache, ablate([clip], codec(), codec(gop="4"), CONFIG, cache=cache)


def codec(_build: Path | None = None, **settings: str) -> BuildCodec:
    build = Build() if _build is None else Build.at(_build)
    return BuildCodec(build, TINY | settings)


@pytest.fixture
def copied_build(tmp_path: Path) -> Path:
    """A checkout of which only the package is there, with other bytes in its extension."""
    package = tmp_path / "checkout" / "python" / "bsqav"
    ignored = shutil.ignore_patterns("__pycache__", "_core.*.so")
    shutil.copytree(Path(bsqav.__file__).parent, package, ignore=ignored)
    extension = Path(str(_core.__file__))
    (package / extension.name).write_bytes(extension.read_bytes() + b"\0")
    return package.parent.parent


def test_two_settings_are_compared_in_every_metric(made: Made) -> None:
    _, _, result = made
    assert result.failures == []
    (measured,) = result.clips
    assert measured.frames == FRAMES
    assert [delta.metric for delta in measured.deltas] == result.metrics
    assert result.metrics == ["psnr_y", "psnr_yuv", "ms_ssim", "vmaf"]
    assert len(measured.curve(ANCHOR)) == len(measured.curve("bsq")) == 4
    assert measured.deltas[0].rate.value is not None and measured.deltas[0].rate.value > 0
    text = format_ablation(result, ("first", "second"))
    row = log_row(result, ("first", "second"))
    for expected in ("A: first", "moving", "PSNR-YUV", *KINDS, "level 0", "at crf 36", row):
        assert expected in text
    assert row.startswith("| second instead of first | +")
    assert "| 1 clip, 9 frames, crf 20 to 44 |" in row
    assert max(map(len, text.partition("the same by clip")[0].splitlines())) <= 80


def test_bits_are_those_of_the_packets_by_kind(made: Made) -> None:
    """The same clip coded here, and its statistics added up here."""
    clip, _, result = made
    plain, often = result.clips[0].curve(ANCHOR)[-1], result.clips[0].curve("bsq")[-1]
    source = Y4mFile(clip)
    frames = [source[i] for i in range(len(source))]
    model = find_model(TINY_MODEL)
    for point, gop, keyframes in ((plain, 250, 1), (often, 4, 3)):
        coded = encode(frames, model, 20.0, gop=gop, lookahead=24)
        assert point.packet_bytes == [len(packet.data) for packet, _ in coded]
        assert point.bits == 8 * sum(point.packet_bytes)
        kinds = bits.by_kind(point)
        assert list(kinds) == KINDS
        assert sum(kinds.values()) == pytest.approx(point.bits)
        intra = [8 * len(packet.data) for packet, _ in coded if packet.keyframe]
        assert len(intra) == keyframes
        assert kinds["keyframes"] == sum(intra)
        for kind in ("motion", "flag", "delta_q", "token"):
            expected = sum(s[f"{kind}_bits"] for packet, s in coded if not packet.keyframe)
            assert kinds[kind.replace("_", " ")] == pytest.approx(expected)
        levels = bits.by_level(point)
        assert levels["keyframes"] == sum(intra)
        assert sum(levels.values()) == pytest.approx(point.bits)
        empty = [8 * len(p.data) for p, _ in coded if _core.probe_packet(p.data)["frames"] == 0]
        assert levels["overhead"] == sum(empty)
        deepest = 3 if keyframes == 1 else 2  # groups of eight frames; of three
        assert list(levels)[1:-1] == [f"level {n}" for n in range(deepest + 1)]


def test_levels_are_those_that_the_statistics_have(made: Made) -> None:
    point = made[2].clips[0].curve(ANCHOR)[0]
    more = [{**stats, "level_bits": [5.0, 0.0, 2.0]} for stats in point.packet_stats]
    point = dataclasses.replace(point, packet_stats=more)
    levels = bits.by_level(point)
    assert list(levels)[1:] == ["level 0", "level 2", "overhead"]
    assert levels["level 2"] == 2 * (FRAMES - 1)
    older = [{"keyframe": stats["keyframe"]} for stats in point.packet_stats]
    levels = bits.by_level(dataclasses.replace(point, packet_stats=older))
    assert levels == {"keyframes": levels["keyframes"], "level 0": levels["level 0"]}
    assert sum(levels.values()) == point.bits
    assert list(bits.by_kind(point)) == KINDS


def test_shares_are_in_percent_of_the_first(made: Made) -> None:
    ((setting, (a, b)), *_) = bits.pairs_of(made[2].clips[0], ANCHOR).items()
    assert setting == "crf 20"
    found = bits.shares(a, b, bits.by_kind)
    assert sum(first for first, _ in found.values()) == pytest.approx(100)
    assert sum(second for _, second in found.values()) == pytest.approx(100 * b.bits / a.bits)
    of_a, of_b = found["token"]
    means = bits.mean_shares([(a, b), (a, a)], bits.by_kind)
    assert means["token"] == pytest.approx((of_a, (of_a + of_b) / 2))


def test_what_has_been_measured_is_not_measured_again(made: Made) -> None:
    """B of then is A of now, and a setting that is the default is the default."""
    clip, cache, first = made
    assert first.cached == 0
    second = ablate([clip], codec(gop="4"), codec(lookahead="24"), CONFIG, cache=cache)
    assert second.cached == 8

    def figures(points: list[Point]) -> list[tuple[int, float]]:
        return [(point.bits, point.vmaf) for point in points]

    assert figures(second.clips[0].curve(ANCHOR)) == figures(first.clips[0].curve("bsq"))
    assert figures(second.clips[0].curve("bsq")) == figures(first.clips[0].curve(ANCHOR))
    same = ablate([clip], codec(), codec(), CONFIG, cache=cache)
    assert "0.0 %; PSNR-YUV 0.0 %; MS-SSIM 0.0 %; VMAF 0.0 %" in log_row(same, ("one", "one"))


def test_another_build_is_imported_and_told_apart(
    made: Made, copied_build: Path, tmp_path: Path
) -> None:
    clip, _, result = made
    ours, theirs = codec(), codec(copied_build)
    assert theirs.title == f"{copied_build}, model={TINY_MODEL}"
    assert ours.identity() != theirs.identity()
    encoded = theirs.encode(clip, 20, 250, tmp_path / "stream")
    assert encoded.packet_bytes == result.clips[0].curve(ANCHOR)[-1].packet_bytes
    theirs.decode(tmp_path / "stream", tmp_path / "decoded.y4m", HEADER)
    assert len(Y4mFile(tmp_path / "decoded.y4m")) == FRAMES
    with (copied_build / "python" / "bsqav" / Path(str(_core.__file__)).name).open("ab") as library:
        library.write(b"\0")
    with pytest.raises(EvaluationError, match="changed while it was measured"):
        theirs.encode(clip, 20, 250, tmp_path / "stream")


def test_an_interpreter_is_a_build() -> None:
    assert Build.at(Path(sys.executable)).python[0] == str(Path(sys.executable).absolute())


def test_what_is_no_build_or_setting_is_refused(tmp_path: Path, copied_build: Path) -> None:
    with pytest.raises(UsageError, match="is no build: give a checkout"):
        Build.at(tmp_path)
    with pytest.raises(EvaluationError, match="this build: no setting 'looahead'"):
        codec(looahead="3")
    with pytest.raises(EvaluationError, match="lookahead=many: integer wanted"):
        codec(lookahead="many")
    with pytest.raises(UsageError, match="crf is no setting of one side"):
        codec(crf="3")
    (copied_build / "python" / "bsqav" / Path(str(_core.__file__)).name).unlink()
    with pytest.raises(UsageError, match="has no extension in"):
        codec(copied_build)


def test_clips_keep_their_length_and_wide_ones_are_scaled(clip: Path, tmp_path: Path) -> None:
    assert clip_form(clip, AblationConfig(())) == ClipForm(FRAMES, None)
    assert clip_form(clip, AblationConfig((), frames=4, width=96)) == ClipForm(4, (96, 88))
    assert clip_form(clip, AblationConfig((), width=0)).scale is None
    text = tmp_path / "notes.mp4"
    text.write_text("not a video\n")
    with pytest.raises(SourceError, match="cannot be read as video"):
        clip_form(text, CONFIG)


def test_the_command(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, cache, _ = made
    monkeypatch.setenv("BSQAV_CACHE", str(cache.folder))
    command = [sys.executable, str(ROOT / "benchmarks" / "ablation.py"), str(clip)]
    command += ["--crf", "20,28,36,44", "--a", f"model={TINY_MODEL}", "--b", f"model={TINY_MODEL}"]
    done = subprocess.run([*command, "--b", "gop=4"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{HEADER.width}x{HEADER.height}" in done.stdout
    assert "8 of 8 points from the cache" in done.stdout
    assert ": B crf 44: " in done.stderr
    done = subprocess.run([*command, "--b", "gop=few"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ablation: this build: ")
