#!/usr/bin/env python3
"""Registers the BSQ encoder and decoder in an FFmpeg source tree, 5.1 or newer.

    register.py FFMPEG_SOURCE

Copies the wrapper into libavcodec and adds the lines that make FFmpeg know the codec: to configure,
the lists of codecs, the Makefile and the tables of tags. Each place is found by what stands there
in every release; where it does not, an error names it and nothing is changed. Running it again
renews the wrapper and leaves the rest alone.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
WRAPPER = (
    *("libbsq.h", "libbsq.c", "libbsqdec.c"),
    *("libbsqenc.h", "libbsqenc.c", "libbsqenc_config.c"),
)
# Above every id that FFmpeg gives to video, below those of audio: the list of descriptors is
# sorted by id. No file holds this number.
CODEC_ID = "0xB500"


class RegistrationError(Exception):
    """The tree is not what was expected."""


@dataclass(frozen=True)
class Edit:
    """Lines to add at one place of one file.

    `anchor` is a pattern (multi-line mode); its first match says where. `text` goes before or after
    that match, and its presence in the file says that the edit has been made.
    """

    file: str
    what: str
    anchor: str
    text: str
    after: bool = False

    def applied(self, source: str) -> str:
        """The file with the lines in it; RegistrationError where the anchor is not found."""
        if self.text in source:
            return source
        found = re.search(self.anchor, source, re.MULTILINE)
        if found is None:
            raise RegistrationError(
                f"{self.file}: the place for {self.what} was not found (a line that matches "
                f"{self.anchor!r}); this FFmpeg is older than 5.1 or lays the file out anew"
            )
        position = found.end() if self.after else found.start()
        return source[:position] + self.text + source[position:]


TAG = "MKTAG('B', 'S', 'Q', '1')"
TAG_ENTRY = f"    {{ AV_CODEC_ID_BSQ, {TAG} }},\n"

EDITS = (
    Edit(
        "configure",
        "the option in the help",
        r"^  --enable-lib[c-z]",
        "  --enable-libbsq          enable BSQ video encoding and decoding via libbsq [no]\n",
    ),
    Edit(
        "configure",
        "the name in the list of external libraries",
        r'^EXTERNAL_LIBRARY_LIST="\n',
        "    libbsq\n",
        after=True,
    ),
    Edit(
        "configure",
        "what encoder and decoder need",
        r'^lib\w+_(?:en|de)coder_deps="',
        'libbsq_decoder_deps="libbsq"\nlibbsq_encoder_deps="libbsq"\n',
    ),
    Edit(
        "configure",
        "the search by pkg-config",
        r"^enabled lib\w+ +&& require_pkg_config ",
        'enabled libbsq            && require_pkg_config libbsq "bsq >= 0.1.0" bsq/bsq.h '
        "bsq_model_find &&\n"
        '    bsq_model_dir=$(cd "$($pkg_config --variable=modeldir bsq)" && pwd)\n',
    ),
    Edit(
        "configure",
        "the folder of the models in config.h",
        r"^#define FFMPEG_CONFIGURATION .*\n",
        '#define BSQ_MODEL_DIR "$(c_escape $bsq_model_dir)"\n',
        after=True,
    ),
    Edit(
        "libavcodec/allcodecs.c",
        "encoder and decoder",
        r"^extern (?:const )?FFCodec ff_lib\w+_(?:en|de)coder;",
        "extern const FFCodec ff_libbsq_encoder;\nextern const FFCodec ff_libbsq_decoder;\n",
    ),
    Edit(
        "libavcodec/codec_id.h",
        "the codec's id",
        r"^ *AV_CODEC_ID_FIRST_AUDIO\b",
        f"    AV_CODEC_ID_BSQ = {CODEC_ID},\n\n",
    ),
    Edit(
        "libavcodec/codec_desc.c",
        "the codec's description",
        r"^(?: */\* various PCM .*\*/\n)? *\{\n *\.id *= AV_CODEC_ID_PCM_S16LE,",
        "    {\n"
        "        .id        = AV_CODEC_ID_BSQ,\n"
        "        .type      = AVMEDIA_TYPE_VIDEO,\n"
        '        .name      = "bsq",\n'
        '        .long_name = NULL_IF_CONFIG_SMALL("BSQ (Binary Spherical Quantization)"),\n'
        "        .props     = AV_CODEC_PROP_LOSSY,\n"
        "    },\n",
    ),
    Edit(
        "libavcodec/Makefile",
        "the object files",
        r"^OBJS-\$\(CONFIG_LIB\w+_(?:EN|DE)CODER\)",
        "OBJS-$(CONFIG_LIBBSQ_DECODER)             += libbsqdec.o libbsq.o\n"
        "OBJS-$(CONFIG_LIBBSQ_ENCODER)             += libbsqenc.o libbsqenc_config.o libbsq.o\n",
    ),
    # Matroska (V_MS/VFW/FOURCC), NUT, AVI and IVF take their tags from this table.
    Edit(
        "libavformat/riff.c",
        "the tag of Matroska, NUT and AVI",
        r"^const AVCodecTag ff_codec_bmp_tags\[\] = \{\n",
        TAG_ENTRY,
        after=True,
    ),
    Edit(
        "libavformat/isom_tags.c",
        "the tag of MOV",
        r"^const AVCodecTag ff_codec_movvideo_tags\[\] = \{\n",
        TAG_ENTRY,
        after=True,
    ),
    # The MP4 muxer, which also writes the segments of HLS and DASH, has a table of its own.
    Edit(
        "libavformat/movenc.c",
        "the tag of MP4",
        r"^(?:static )?const AVCodecTag codec_mp4_tags\[\] = \{\n",
        TAG_ENTRY,
        after=True,
    ),
)


def _check_clean(name: str, source: str, edits: Sequence[Edit]) -> None:
    """Raises RegistrationError where a file has lines of another version of this registration."""
    rest = source
    for edit in edits:
        if edit.file == name:
            rest = rest.replace(edit.text, "")
    if re.search(r"libbsq|(?<![a-z])bsq|BSQ", rest):
        raise RegistrationError(
            f"{name} was changed for BSQ by another version of this program or by hand: "
            "begin with a clean source tree"
        )


def register(tree: Path, edits: Sequence[Edit] = EDITS) -> list[str]:
    """Puts wrapper and registration into a source tree; returns the files that changed.

    Raises:
        RegistrationError: it is no FFmpeg source tree, or a place was not found.
    """
    if not (tree / "configure").is_file() or not (tree / "libavcodec").is_dir():
        raise RegistrationError(f"{tree} is no FFmpeg source tree: it has no configure, libavcodec")
    texts: dict[str, str] = {}
    for edit in edits:
        path = tree / edit.file
        if edit.file not in texts:
            if not path.is_file():
                raise RegistrationError(f"{tree} has no {edit.file}, the place for {edit.what}")
            texts[edit.file] = path.read_text(encoding="utf-8")
            _check_clean(edit.file, texts[edit.file], edits)
        texts[edit.file] = edit.applied(texts[edit.file])
    changed = []
    for name, text in texts.items():
        path = tree / name
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    for name in WRAPPER:
        source, target = HERE / name, tree / "libavcodec" / name
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
            changed.append(f"libavcodec/{name}")
    return changed


def main() -> int:
    """Carry out the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, metavar="FFMPEG_SOURCE")
    try:
        changed = register(parser.parse_args().source)
    except (OSError, UnicodeDecodeError, RegistrationError) as error:
        print(f"register.py: {error}", file=sys.stderr)
        return 1
    print("changed " + ", ".join(changed) if changed else "nothing to change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
