"""Exif, colour profiles and XMP in image files, which FFmpeg and PyAV hand on in part only.

Read from JPEG, PNG, WebP and TIFF; put into JPEG and PNG.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from bsqav.codec.image_metadata import EXIF_PREFIX, NO_METADATA, ImageMetadata

__all__ = ["IMAGE_CODECS", "read_image_metadata", "with_metadata"]

# FFmpeg's names of decoders whose packets are whole files of these.
IMAGE_CODECS = {"mjpeg", "png", "apng", "webp", "tiff"}
_MAX_BYTES = 16 << 20  # of an uncompressed profile
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_XMP_PREFIX, _ICC_PREFIX = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_SEGMENT_BYTES = 65533  # that a JPEG segment holds at most
_APP0, _APP1, _APP2, _SOS = 0xE0, 0xE1, 0xE2, 0xDA
_TIFF_XMP, _TIFF_ICC = 700, 34675


def read_image_metadata(data: bytes) -> ImageMetadata:
    """What an image file holds apart from its samples; nothing where it cannot be read."""
    try:
        if data.startswith(_JPEG):
            return _of_jpeg(data)
        if data.startswith(_PNG):
            return _of_png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _of_webp(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _of_tiff(data)
    except (struct.error, zlib.error, IndexError):
        pass
    return NO_METADATA


# ---- JPEG ----


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Where each segment before the samples begins, its marker and its content."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == _SOS:
            return
        (size,) = struct.unpack_from(">H", data, place + 2)
        yield place, marker, data[place + 4 : place + 2 + size]
        place += 2 + size


def _of_jpeg(data: bytes) -> ImageMetadata:
    exif = xmp = b""
    profile: dict[int, bytes] = {}
    for _, marker, content in _segments(data):
        if marker == _APP1 and content.startswith(EXIF_PREFIX):
            exif = exif or content[len(EXIF_PREFIX) :]
        elif marker == _APP1 and content.startswith(_XMP_PREFIX):
            xmp = xmp or content[len(_XMP_PREFIX) :]
        elif marker == _APP2 and content.startswith(_ICC_PREFIX):
            number = content[len(_ICC_PREFIX)]
            profile[number] = content[len(_ICC_PREFIX) + 2 :]
    icc = b"".join(profile[number] for number in sorted(profile))
    return ImageMetadata(exif, icc, xmp)


def _into_jpeg(data: bytes, metadata: ImageMetadata, warn: Callable[[str], None]) -> bytes:
    parts: list[bytes] = []

    def add(marker: int, content: bytes, what: str) -> None:
        if len(content) > _SEGMENT_BYTES:
            warn(f"{what} of {len(content)} bytes is left out: a JPEG file holds 64 KiB of it")
            return
        parts.append(struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content)

    if metadata.exif:
        add(_APP1, EXIF_PREFIX + metadata.exif, "Exif")
    if metadata.xmp:
        add(_APP1, _XMP_PREFIX + metadata.xmp, "XMP")
    room = _SEGMENT_BYTES - len(_ICC_PREFIX) - 2
    pieces = [metadata.icc[at : at + room] for at in range(0, len(metadata.icc), room)]
    for number, piece in enumerate(pieces, 1):
        add(_APP2, _ICC_PREFIX + bytes([number, len(pieces)]) + piece, "the colour profile")
    # After JFIF's own segment, which comes first.
    place = 2
    for begin, marker, content in _segments(data):
        if marker == _APP0:
            place = begin + 4 + len(content)
        break
    return data[:place] + b"".join(parts) + data[place:]


# ---- PNG ----


def _png_chunks(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Where each chunk ends, its name and its content."""
    place = len(_PNG)
    while place + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + size]
        place += 12 + size
        yield place, name, content


def _of_png(data: bytes) -> ImageMetadata:
    found = {"exif": b"", "icc": b"", "xmp": b""}
    for _, name, content in _png_chunks(data):
        if name == b"eXIf":
            found["exif"] = content
        elif name == b"iCCP":
            packed = content[content.find(b"\0") + 2 :]
            found["icc"] = zlib.decompressobj().decompress(packed, _MAX_BYTES)
        elif name == b"iTXt" and content.startswith(_XMP_KEYWORD + b"\0"):
            compressed, rest = content[len(_XMP_KEYWORD) + 1], content[len(_XMP_KEYWORD) + 3 :]
            text = rest.split(b"\0", 2)[-1]
            if compressed:
                text = zlib.decompressobj().decompress(text, _MAX_BYTES)
            found["xmp"] = text
    return ImageMetadata(**found).without_prefix()


def _into_png(data: bytes, metadata: ImageMetadata) -> bytes:
    parts = []
    if metadata.icc:
        parts.append(_png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.exif:
        parts.append(_png_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        parts.append(_png_chunk(b"iTXt", _XMP_KEYWORD + b"\0" * 5 + metadata.xmp))
    out = [_PNG]
    begin = len(_PNG)
    for end, name, _ in _png_chunks(data):
        if not (metadata.icc and name in (b"sRGB", b"iCCP", b"gAMA", b"cHRM")):
            out.append(data[begin:end])
        if name == b"IHDR":
            out += parts
        begin = end
    return b"".join(out)


def _png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I4s", len(content), name) + content + struct.pack(">I", checksum)


# ---- WebP and TIFF ----


def _of_webp(data: bytes) -> ImageMetadata:
    found = {b"EXIF": b"", b"ICCP": b"", b"XMP ": b""}
    place = 12
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if name in found:
            found[name] = data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    return ImageMetadata(found[b"EXIF"], found[b"ICCP"], found[b"XMP "]).without_prefix()


def _of_tiff(data: bytes) -> ImageMetadata:
    """Colour profile and XMP; the Exif of a TIFF file is spread all over it."""
    order = "<" if data.startswith(b"II") else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    found = {_TIFF_XMP: b"", _TIFF_ICC: b""}
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        tag, _, size, place = struct.unpack_from(f"{order}HHII", data, entry)
        if tag in found and size > 4:
            found[tag] = data[place : place + size]
    return ImageMetadata(icc=found[_TIFF_ICC], xmp=found[_TIFF_XMP])


# ---- writing ----


def with_metadata(
    data: bytes, codec: str, metadata: ImageMetadata, warn: Callable[[str], None]
) -> bytes:
    """An image file with metadata; `warn` hears of what it cannot hold.

    Args:
        data: the file, as FFmpeg's encoder made it.
        codec: FFmpeg's name of that encoder.
    """
    if not metadata:
        return data
    if codec == "mjpeg":
        return _into_jpeg(data, metadata, warn)
    if codec == "png":
        return _into_png(data, metadata)
    warn(f"{metadata.names} of the image: left out, as no {codec} files are written with it")
    return data
