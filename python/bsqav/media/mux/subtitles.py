"""Text subtitles from one container's form to another's."""

from __future__ import annotations

import html
import re

__all__ = [
    "EMPTY_TEXT",
    "PLAIN_STYLE",
    "TEXT_CODECS",
    "ass_to_subrip",
    "join_mov_texts",
    "mov_text_to_subrip",
    "subrip_to_mov_text",
    "subrip_to_webvtt",
    "to_subrip",
    "webvtt_to_subrip",
]

# Text subtitles that `to_subrip` understands; their timing is the container's.
TEXT_CODECS = {"subrip", "text", "mov_text", "webvtt", "ass", "ssa"}
# A mov_text sample that shows nothing.
EMPTY_TEXT = bytes(2)
# The ASS header of tracks that are made from other text: one plain style.
PLAIN_STYLE = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def mov_text_to_subrip(data: bytes) -> bytes:
    """The text of a mov_text sample (3GPP TS 26.245): a length, UTF-8, then style boxes."""
    if len(data) < 2:
        return b""
    size = int.from_bytes(data[:2], "big")
    text = data[2 : 2 + size]
    if text[:2] in (b"\xfe\xff", b"\xff\xfe"):
        text = text.decode("utf-16", "replace").encode()
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def subrip_to_mov_text(data: bytes) -> bytes:
    """A mov_text sample of SubRip text, with the markup taken away."""
    plain = re.sub(rb"</?[A-Za-z][^<>]*>|\{\\[^}]*\}", b"", data).strip()[:0xFFFF]
    return len(plain).to_bytes(2, "big") + plain


def subrip_to_webvtt(data: bytes) -> bytes:
    """A WebVTT cue of SubRip text: i, b and u stay, other markup goes, the rest is text."""
    text = re.sub(r"\{\\[^}]*\}|</?(?:font|s)\b[^<>]*>", "", data.decode("utf-8", "replace"))
    text = html.escape(text, quote=False)
    return re.sub(
        r"&lt;(/?[ibu])&gt;", lambda tag: f"<{tag[1].lower()}>", text, flags=re.IGNORECASE
    ).encode()


def join_mov_texts(samples: list[bytes]) -> bytes:
    """Several mov_text samples shown at once: their lines below each other, without styles."""
    if len(samples) == 1:
        return samples[0]
    return subrip_to_mov_text(b"\n".join(map(mov_text_to_subrip, samples)))


def webvtt_to_subrip(data: bytes) -> bytes:
    """The text of a WebVTT cue: classes, voices and times inside it go, i, b and u stay."""
    text = data.decode("utf-8", "replace")
    text = re.sub(r"<(/?)([biu])(?:\.[^>]*)?>", r"<\1\2>", text)
    text = re.sub(r"<(?!/?[biu]>)[^>]*>", "", text)
    return html.unescape(text).encode()


def ass_to_subrip(data: bytes) -> bytes:
    """The text of an ASS event (ReadOrder, Layer, Style, ..., Text), markup taken away."""
    text = data.split(b",", 8)[-1]
    text = re.sub(rb"\{[^}]*\}", b"", text)
    return text.replace(b"\\N", b"\n").replace(b"\\n", b"\n").replace(b"\\h", b" ")


def to_subrip(codec: str, data: bytes) -> bytes:
    """A packet of a text subtitle track as SubRip text; other codecs' packets stay as they are."""
    if codec == "mov_text":
        return mov_text_to_subrip(data)
    if codec == "webvtt":
        return webvtt_to_subrip(data)
    if codec in ("ass", "ssa"):
        return ass_to_subrip(data)
    return data
