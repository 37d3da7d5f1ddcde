"""One codec at one quality on one source: encode, decode, measure, or take it from the cache."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bsqav.evaluation.compare.bsq import Encoded
from bsqav.evaluation.compare.coders import Coder
from bsqav.evaluation.compare.results import Point
from bsqav.evaluation.io.cache import Cache, key_of
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.ffmpeg import Run, ffmpeg_version
from bsqav.evaluation.io.workspace import ClipSource
from bsqav.evaluation.metrics.quality import VMAF_MODEL, Quality, measure


class PointMaker:
    """Makes the points of one source; safe to call from several threads.

    hits    points that came from the cache
    """

    def __init__(
        self, source: ClipSource, gop: int, metrics: Collection[str], cache: Cache
    ) -> None:
        self.source, self.gop, self.cache = source, gop, cache
        self.metrics = sorted(metrics)
        self.hits = 0

    def point(self, coder: Coder, setting: float) -> Point:
        """Codes and measures, unless the cache knows the answer.

        Raises EvaluationError and whatever the codec raises.
        """
        key = self._key(coder, setting)
        measured_key = key and key_of(
            stream=key, metrics=self.metrics, vmaf=VMAF_MODEL, ffmpeg=ffmpeg_version()
        )
        known = self.cache.read_json(measured_key)
        if known is not None:
            self.hits += 1
            # by whatever name it was measured
            named = {"codec": coder.name, "setting": coder.label(setting)}
            return Point(**known | named)
        stream = self.source.folder / f"{coder.name}-{setting:g}{coder.suffix}"
        decoded = self.source.folder / f"{coder.name}-{setting:g}.y4m"
        try:
            encoded = self._encode(coder, setting, key, stream)
            run = coder.decode(stream, decoded, self.source)
            quality = measure(decoded, self.source.y4m(), self.metrics)
        finally:
            stream.unlink(missing_ok=True)
            decoded.unlink(missing_ok=True)
        point = make_point(coder.name, coder.label(setting), self.source, encoded, run, quality)
        self.cache.write_json(measured_key, dataclasses.asdict(point))
        return point

    def decoded(self, coder: Coder, setting: float) -> Path:
        """Decodes to a y4m file, which the caller removes; encodes again only without a cache."""
        stream = self.source.folder / f"view-{coder.name}{coder.suffix}"
        decoded = self.source.folder / f"view-{coder.name}.y4m"
        try:
            self._encode(coder, setting, self._key(coder, setting), stream)
            coder.decode(stream, decoded, self.source)
        finally:
            stream.unlink(missing_ok=True)
        return decoded

    def stream_key(self, coder: Coder, setting: float) -> str | None:
        """The cache's name for an encoded stream."""
        return self._key(coder, setting)

    def _key(self, coder: Coder, setting: float) -> str | None:
        identity = coder.identity()
        if identity is None:
            return None
        gop = self.gop if self.source.kind == "video" else 0
        return key_of(source=self.source.key, codec=identity, setting=setting, gop=gop)

    def _encode(self, coder: Coder, setting: float, key: str | None, stream: Path) -> Encoded:
        known = self.cache.read_json(key, ".encoded.json")
        if known is not None and self.cache.take_file(key, coder.suffix, stream):
            return Encoded(**known)
        encoded = coder.encode(self.source, setting, self.gop, stream)
        self.cache.write(key, coder.suffix, stream.read_bytes())
        self.cache.write_json(key, dataclasses.asdict(encoded), ".encoded.json")
        return encoded


def make_point(
    codec: str, setting: str, source: ClipSource, encoded: Encoded, decoded: Run, quality: Quality
) -> Point:
    """The figures of a point; raises EvaluationError where frames are missing."""
    frames = source.frames
    if quality.frames != frames:
        raise EvaluationError(f"{quality.frames} frames were measured, the clip has {frames}")
    if source.kind == "video" and len(encoded.packet_bytes) < frames:
        raise EvaluationError(
            f"the stream has {len(encoded.packet_bytes)} packets, the clip {frames} frames"
        )
    header = source.header
    bits = 8 * sum(encoded.packet_bytes)
    values: dict[str, Any] = {
        field.name: getattr(quality, field.name)
        for field in dataclasses.fields(quality)
        if field.name != "frames"
    }
    return Point(
        codec=codec,
        setting=setting,
        stream_bytes=sum(encoded.packet_bytes),
        bits=bits,
        bpp=bits / (frames * header.width * header.height),
        kbps=bits * float(header.rate) / frames / 1000,
        frames=frames,
        encode_seconds=encoded.seconds,
        decode_seconds=decoded.seconds,
        encode_fps=frames / max(encoded.seconds, 1e-9),
        decode_fps=frames / max(decoded.seconds, 1e-9),
        command=encoded.command,
        packet_bytes=encoded.packet_bytes,
        frame_bytes=encoded.frame_bytes,
        packet_stats=encoded.packet_stats,
        encode_memory=encoded.memory,
        decode_memory=decoded.memory,
        **values,
    )
