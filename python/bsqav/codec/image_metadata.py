"""What a picture carries beside its samples: Exif, a colour profile, XMP (docs/bitstream.md 10)."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

from bsqav.codec.varint import read_varint, varint

__all__ = ["MIRRORED_TURNS", "NO_METADATA", "ImageMetadata", "read_chunks"]

# Mirrored orientations of Exif: degrees clockwise, once left and right have changed places.
MIRRORED_TURNS = MappingProxyType({2: 0, 4: 180, 5: 270, 7: 90})
EXIF_PREFIX = b"Exif\0\0"  # of JPEG, before what is Exif itself
_KINDS = {1: "exif", 2: "icc", 3: "xmp"}
_NAMES = {"exif": "Exif", "icc": "the colour profile", "xmp": "XMP"}
_ORIENTATION, _SHORT = 0x0112, 3
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[1-8]")


@dataclass(frozen=True)
class ImageMetadata:
    """Metadata of a picture or an animation; no bytes where it has none of a kind."""

    exif: bytes = b""  # a TIFF structure: from its byte order mark on
    icc: bytes = b""  # an ICC profile
    xmp: bytes = b""  # a packet of XMP, UTF-8

    def __bool__(self) -> bool:
        return bool(self.exif or self.icc or self.xmp)

    @property
    def names(self) -> str:
        """What there is, in words."""
        return ", ".join(_NAMES[name] for name in _KINDS.values() if getattr(self, name))

    def without_prefix(self) -> ImageMetadata:
        """The same with Exif as it is kept here, where it came as JPEG has it."""
        return replace(self, exif=self.exif.removeprefix(EXIF_PREFIX))

    def upright(self) -> ImageMetadata:
        """The same with an orientation of 1: the sequence header says how the picture is turned.

        Exif that says nothing else is left out.
        """
        return replace(self, exif=_exif_upright(self.exif), xmp=_xmp_upright(self.xmp))

    @property
    def orientation(self) -> int:
        """Exif's orientation, 1 to 8; 1 where there is none that can be read."""
        place = _orientation_place(self.exif)
        return place[1] if place is not None and 1 <= place[1] <= 8 else 1

    def to_chunks(self) -> bytes:
        """As the head of an animation has it."""
        parts = []
        for kind, name in _KINDS.items():
            data: bytes = getattr(self, name)
            if data:
                checksum = struct.pack("<I", zlib.crc32(data))
                parts.append(bytes([kind]) + varint(len(data)) + data + checksum)
        return b"".join(parts)


NO_METADATA = ImageMetadata()


def read_chunks(data: bytes, fault: Callable[[str], None]) -> ImageMetadata:
    """The metadata at the end of an animation's head; kinds that are not known are passed over.

    Args:
        data: the head from behind `loops` on.
        fault: hears in a sentence of what is damaged, which is left out.
    """
    found: dict[str, bytes] = {}
    place = 0
    while place < len(data):
        name = _KINDS.get(data[place])
        try:
            size, place = read_varint(data, place + 1)
        except (EOFError, ValueError):
            size = len(data)
        content, end = data[place : place + size], place + size + 4
        if end > len(data):
            if name is None:
                break
            fault(f"{_NAMES[name]} is damaged and left out: it is larger than its place")
            break
        (checksum,) = struct.unpack("<I", data[end - 4 : end])
        place = end
        if name is None:
            continue
        if zlib.crc32(content) != checksum:
            fault(f"{_NAMES[name]} is damaged and left out")
        else:
            found.setdefault(name, content)
    return ImageMetadata(**found)


def _orientation_place(exif: bytes) -> tuple[int, int, str] | None:
    """Where the value of the orientation stands in Exif, the value, and the byte order."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 10:
        return None
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    if first + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(f"{order}H", exif, first)
    for entry in range(first + 2, min(first + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, number, value = struct.unpack_from(f"{order}HHIH", exif, entry)
        if (tag, kind, number) == (_ORIENTATION, _SHORT, 1):
            return entry + 8, value, order
    return None


def _exif_upright(exif: bytes) -> bytes:
    place = _orientation_place(exif)
    if place is None:
        return exif
    begin, _, order = place
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    if struct.unpack_from(f"{order}H", exif, first) == (1,) and not any(exif[begin + 4 :]):
        return b""
    return exif[:begin] + struct.pack(f"{order}H", 1) + exif[begin + 2 :]


def _xmp_upright(xmp: bytes) -> bytes:
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
