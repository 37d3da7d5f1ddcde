"""Sound tracks as containers describe them: codec, sampling, private data; and their packets."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
from av.audio.codeccontext import AudioCodecContext
from av.bitstream import BitStreamFilterContext
from av.stream import Stream

from bsqav.errors import MediaError
from bsqav.media.io.types import AvPacket, decoder_of

__all__ = [
    "AdtsUnpacker",
    "AudioParameters",
    "adts_to_config",
    "flac_private",
    "layout_of",
    "sound_instead",
    "split_adts",
    "vorbis_private",
    "without_sound",
]


@dataclass(frozen=True)
class AudioParameters:
    """What a container must know of a sound track."""

    codec: str  # FFmpeg's canonical name, e.g. "aac"
    sample_rate: int  # samples per second
    channels: int
    extradata: bytes = b""

    @classmethod
    def of_context(cls, context: AudioCodecContext) -> AudioParameters:
        """From a PyAV audio codec context, of a stream or of an opened encoder."""
        return cls(
            context.codec.canonical_name,
            context.sample_rate,
            context.channels,
            bytes(context.extradata or b""),
        )

    @property
    def codec_delay(self) -> int:
        """Nanoseconds of sound that the decoder puts out before the first sample (Opus)."""
        if self.codec != "opus" or len(self.extradata) < 12:
            return 0
        pre_skip: int = struct.unpack_from("<H", self.extradata, 10)[0]
        return pre_skip * 1_000_000_000 // 48000


def layout_of(context: AudioCodecContext) -> str:
    """FFmpeg's name of a track's channel layout: the usual one where only their number is known."""
    name: str = context.layout.name
    # "3 channels", "6 channels (FL+FR+...)" and the like are no layout that a muxer writes.
    return f"{context.channels}c" if "channel" in name and context.channels else name


def sound_instead(codec: str) -> str:
    """FFmpeg's encoder for sound that a container cannot hold: PCM stays PCM, all else is AAC."""
    if not codec.startswith("pcm_"):
        return "aac"
    if codec in ("pcm_f32be", "pcm_f64be"):
        return codec.replace("be", "le")
    deep = any(part in codec for part in ("24", "32", "dvd", "bluray"))
    return "pcm_s24le" if deep else "pcm_s16le"


def without_sound(stream: av.AudioStream) -> str | None:
    """Why a sound track has nothing that could be carried; None where it has."""
    context = decoder_of(stream)
    if context is not None and context.sample_rate > 0 and context.channels > 0:
        return None
    return "no packet of it was found" if context is not None else None


def split_adts(data: bytes) -> tuple[bytes, bytes] | None:
    """(header, payload) of an AAC packet in ADTS (ISO/IEC 13818-7), None for a raw packet."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return None
    header_size = 7 if data[1] & 1 else 9
    frame_size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    if frame_size != len(data):
        return None
    return data[:header_size], data[header_size:]


def adts_to_config(header: bytes) -> bytes:
    """The AudioSpecificConfig (ISO/IEC 14496-3) of an ADTS header."""
    object_type = (header[2] >> 6) + 1
    rate_index = header[2] >> 2 & 15
    channels = (header[2] & 1) << 2 | header[3] >> 6
    if rate_index > 12 or channels == 0:
        raise MediaError(
            "the AAC track keeps its channel layout inside its packets (ADTS), which a container "
            "cannot describe: encode the sound anew"
        )
    return struct.pack(">H", object_type << 11 | rate_index << 7 | channels << 3)


class AdtsUnpacker:
    """Takes the ADTS headers off the packets of an AAC track.

    A channel layout that no header can name is inside the packets; FFmpeg's filter extracts it.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._filter: BitStreamFilterContext | None = None

    def unpack(self, packet: AvPacket, data: bytes) -> tuple[bytes, bytes]:
        """(payload, configuration) of a packet; the configuration is empty where it is known."""
        parts = split_adts(data)
        if self._filter is None:
            if parts is None or _names_layout(parts[0]):
                return data, b""
            self._filter = BitStreamFilterContext("aac_adtstoasc", in_stream=self._stream)
        copy: AvPacket = av.Packet(data)
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        try:
            (found,) = self._filter.filter(copy)
        except (av.FFmpegError, ValueError):
            return data, b""
        config = b""
        if found.has_sidedata("new_extradata"):
            config = bytes(found.get_sidedata("new_extradata"))
        return bytes(found), config


def _names_layout(header: bytes) -> bool:
    return bool((header[2] & 1) << 2 | header[3] >> 6)


def vorbis_private(extradata: bytes) -> bytes:
    """The three Vorbis headers in Xiph lacing, as Matroska stores them."""
    if extradata[:1] == b"\x02":
        return extradata
    headers, place = [], 0
    for _ in range(3):
        if place + 2 > len(extradata):
            raise MediaError("the Vorbis track lacks its three headers")
        size = int.from_bytes(extradata[place : place + 2], "big")
        headers.append(extradata[place + 2 : place + 2 + size])
        place += 2 + size
    if place > len(extradata):
        raise MediaError("the headers of the Vorbis track are cut short")
    lacing = b"".join(
        b"\xff" * (len(part) // 255) + bytes([len(part) % 255]) for part in headers[:2]
    )
    return b"\x02" + lacing + b"".join(headers)


def flac_private(extradata: bytes) -> bytes:
    """The FLAC signature and metadata blocks, from them or from a bare STREAMINFO block."""
    if extradata[:4] == b"fLaC":
        return extradata
    if len(extradata) < 34:
        raise MediaError("the FLAC track lacks its STREAMINFO block")
    return b"fLaC\x80" + (34).to_bytes(3, "big") + extradata[:34]
