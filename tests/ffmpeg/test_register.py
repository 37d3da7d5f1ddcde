"""The registration finds its places, is made once, and names the place that it does not find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

REGISTER = ROOT / "integrations" / "ffmpeg" / "register.py"

# The lines of an FFmpeg source tree that the registration goes by, and a few around them.
TREE = {
    "configure": """\
  --enable-libass          subtitles
  --enable-libcaca         textual display
EXTERNAL_LIBRARY_LIST="
    libaom
"
some_decoder_deps="zlib"
libaom_av1_decoder_deps="libaom"
enabled libaom            && require_pkg_config libaom "aom >= 1.0.0" aom/aom_codec.h aom_version
#define FFMPEG_CONFIGURATION "$(c_escape $FFMPEG_CONFIGURATION)"
#define FFMPEG_LICENSE "$(c_escape $license)"
""",
    "libavcodec/allcodecs.c": "extern const FFCodec ff_libaom_av1_decoder;\n",
    "libavcodec/codec_id.h": "    AV_CODEC_ID_PHM,\n\n    AV_CODEC_ID_FIRST_AUDIO = 0x10000,\n",
    "libavcodec/codec_desc.c": """\
    },

    /* various PCM "codecs" */
    {
        .id        = AV_CODEC_ID_PCM_S16LE,
""",
    "libavcodec/Makefile": "OBJS-$(CONFIG_LIBAOM_AV1_DECODER)         += libaomdec.o\n",
    "libavformat/riff.c": "const AVCodecTag ff_codec_bmp_tags[] = {\n    { A, 1 },\n};\n",
    "libavformat/isom_tags.c": "const AVCodecTag ff_codec_movvideo_tags[] = {\n    { A, 1 },\n};\n",
    "libavformat/movenc.c": "static const AVCodecTag codec_mp4_tags[] = {\n    { A, 1 },\n};\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def register(tree: Path) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, REGISTER, tree], capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout + result.stderr


def contents(tree: Path) -> dict[str, str]:
    return {str(p.relative_to(tree)): p.read_text() for p in tree.rglob("*") if p.is_file()}


def test_every_file_gets_its_lines(tree: Path) -> None:
    status, _ = register(tree)
    assert status == 0
    after = contents(tree)
    for name, text in TREE.items():
        added = after[name]
        for line in text.splitlines():  # all that was there still is
            assert line in added
        assert "BSQ" in added or "libbsq" in added
    configure = after["configure"]
    assert '"\n    libbsq\n    libaom' in configure
    assert configure.index("--enable-libass") < configure.index("--enable-libbsq")
    ids = after["libavcodec/codec_id.h"]
    assert ids.index("AV_CODEC_ID_PHM") < ids.index("AV_CODEC_ID_BSQ") < ids.index("FIRST_AUDIO")
    assert {p.name for p in (tree / "libavcodec").glob("libbsq*")} == {
        *("libbsq.h", "libbsq.c", "libbsqdec.c"),
        *("libbsqenc.h", "libbsqenc.c", "libbsqenc_config.c"),
    }


def test_a_second_time_changes_nothing(tree: Path) -> None:
    register(tree)
    before = contents(tree)
    assert register(tree) == (0, "nothing to change\n")
    assert contents(tree) == before


def test_a_newer_wrapper_replaces_the_older(tree: Path) -> None:
    register(tree)
    (tree / "libavcodec" / "libbsq.c").write_text("old\n")
    assert register(tree) == (0, "changed libavcodec/libbsq.c\n")


@pytest.mark.parametrize("name", TREE)
def test_a_place_that_is_not_found_is_named(tree: Path, name: str) -> None:
    (tree / name).write_text("nothing of what was here\n")
    before = contents(tree)
    status, message = register(tree)
    assert status == 1
    assert name in message
    assert "not found" in message
    assert contents(tree) == before


def test_a_file_that_is_not_there_is_named(tree: Path) -> None:
    (tree / "libavformat" / "riff.c").unlink()
    status, message = register(tree)
    assert (status, "libavformat/riff.c" in message) == (1, True)


def test_other_lines_for_bsq_are_refused(tree: Path) -> None:
    path = tree / "libavcodec" / "codec_id.h"
    path.write_text(path.read_text().replace("PHM,", "PHM,\n    AV_CODEC_ID_BSQ,"))
    status, message = register(tree)
    assert status == 1
    assert "clean source tree" in message


def test_not_a_source_tree(tmp_path: Path) -> None:
    status, message = register(tmp_path)
    assert status == 1
    assert "no FFmpeg source tree" in message
