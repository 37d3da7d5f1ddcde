"""Images and videos as files of tokens under the paper's prior: `bsqav compress`, `decompress`.

A file is a header of 30 bytes, little-endian, and streams of bsqav.nn.paper.tokencoding, each after
its length (4 bytes): "BSQF", version (1 byte, 1), 0 (1), rows and columns of pixels (4 each),
frames (4, 0 for an image), frames per second as a fraction (4 each), and the number of streams (4).
The image is padded to whole squares of the tokenizer's size by repeating its last row and column,
a video to whole clips by repeating its last frame. Squares are tokens of their own, row by row, in
clips one after the other; a stream holds up to 256 of them, fewer of large priors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from bsqav.codec.files import written_whole
from bsqav.errors import BitstreamError, MediaError, ModelError
from bsqav.nn.paper import anysize, tokencoding
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.fingerprints import check_tokenizer
from bsqav.nn.paper.store import load_model
from bsqav.training.paper.image_sources import Source, frames_of, open_image, open_video

__all__ = ["SUFFIX", "TokenCodec"]

SUFFIX = ".bsqt"
MAGIC, VERSION = b"BSQF", 1
HEADER = struct.Struct("<4sBBIIIIII")
LENGTH = struct.Struct("<I")
# Squares of a stream at most, and bytes of their keys and values: what decompressing takes.
SQUARES, CACHE = 256, 1 << 30
MAX_SIDE, MAX_FRAMES = 1 << 14, 1 << 24

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Head:
    rows: int
    columns: int
    frames: int
    rate: Fraction
    streams: int


class TokenCodec:
    """A tokenizer and its prior, by their files, folders or names.

    Raises ModelError where they do not belong together.
    """

    def __init__(self, tokenizer: Path, prior: Path, device: str = "cpu") -> None:
        self.model = load_model(tokenizer, BSQViT).to(device)
        self.prior = load_model(prior, ARPrior).to(device)
        check_tokenizer(self.prior.tokenizer_id, self.model, str(prior))
        known, expected = self.prior.config, self.model.config
        if known.grid != expected.grid or known.frames != expected.frames:
            raise ModelError(
                f"{prior} is for {known.frames} frames of {known.grid[0]} x {known.grid[1]} "
                f"tokens, the tokenizer has {expected.frames} of {expected.grid[0]} x "
                f"{expected.grid[1]}"
            )
        self.device = device
        each = tokencoding.cache_bytes(self.prior, 1, known.length)
        self.squares = max(1, min(SQUARES, CACHE // each))

    @property
    def videos(self) -> bool:
        """Whether it codes videos instead of images."""
        return self.model.config.frames > 1

    def compress(self, source: Source, out: Path) -> int:
        """Writes the file of an image or a video, whole or not at all; returns its bytes.

        Raises MediaError for what cannot be read.
        """
        frames, rate, size = 0, Fraction(0), (0, 0)
        streams: list[bytes] = []
        held: list[Tensor] = []
        for pixels, count, found in self._clips(source):
            size, frames, rate = (pixels.shape[1], pixels.shape[2]), frames + count, found
            held += self._squares(pixels)
            while len(held) >= self.squares:
                part, held = held[: self.squares], held[self.squares :]
                streams.append(tokencoding.compress(self.prior, torch.stack(part)))
        if held:
            streams.append(tokencoding.compress(self.prior, torch.stack(held)))
        head = HEADER.pack(
            *(MAGIC, VERSION, 0, *size, frames if self.videos else 0),
            *(rate.numerator, rate.denominator, len(streams)),
        )
        data = head + b"".join(LENGTH.pack(len(stream)) + stream for stream in streams)
        with written_whole(out) as partial:
            partial.write_bytes(data)
        return len(data)

    def decompress(self, path: Path, out: Path) -> None:
        """Writes what a file holds: an image as PNG, a video as FFV1 in Matroska.

        Raises BitstreamError for a damaged file, ModelError for one of other models.
        """
        head, streams = _read(path)
        if bool(head.frames) != self.videos:
            what = "a video" if head.frames else "an image"
            raise ModelError(f"{path} holds {what}, and the tokenizer is for the other kind")
        clips = self._pixels(head, streams, path)
        with written_whole(out) as partial:
            if not head.frames:
                (clip,) = clips  # to its end, where what is too much is found
                Image.fromarray(clip[0]).save(partial, "PNG")
            else:
                _write_video(clips, head, partial)

    # ---- clips ----

    def _clips(self, source: Source) -> Iterator[tuple[Pixels, int, Fraction]]:
        """Frames [T, rows, columns, 3], how many of them are the source's own, and the rate."""
        if not self.videos:
            yield np.asarray(open_image(source))[None], 1, Fraction(0)
            return
        length, held, some = self.model.config.frames, list[Pixels](), False
        with open_video(source) as container:
            rate = Fraction(container.streams.video[0].average_rate or 25)
            for frame in frames_of(source, container):
                held.append(
                    frame.reformat(format="rgb24").to_ndarray().astype(np.uint8, copy=False)
                )
                if held[-1].shape != held[0].shape:
                    raise MediaError(f"{source} changes its size")
                if len(held) == length:
                    some = True
                    yield np.stack(held), length, rate
                    held = held[:0]
        if held:
            padded = held + [held[-1]] * (length - len(held))
            yield np.stack(padded), len(held), rate
        elif not some:
            raise MediaError(f"{source} has no frame")

    def _squares(self, pixels: Pixels) -> list[Tensor]:
        """Indices [(T,) h, w] of the squares of a clip [T, rows, columns, 3]."""
        x = torch.from_numpy(pixels.copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
        x = x.to(self.device)
        x = x if self.videos else x[:, :, 0]
        indices = anysize.tokenize(self.model, x, "tiles")
        return list(anysize.tiles_of(self.model, indices))

    def _pixels(self, head: _Head, streams: list[bytes], path: Path) -> Iterator[Pixels]:
        """Clips [T, rows, columns, 3] of a file; the last one without its padding."""
        side, length = self.model.config.size, self.model.config.frames
        down, right = -(-head.rows // side[0]), -(-head.columns // side[1])
        held: list[Tensor] = []
        left = head.frames or 1
        for stream in streams:
            try:
                held += list(tokencoding.decompress(self.prior, stream, tokenizer=self.model))
            except BitstreamError as error:
                raise BitstreamError(f"{path}: {error}") from error
            while left and len(held) >= down * right:
                tiles, held = torch.stack(held[: down * right]), held[down * right :]
                indices = anysize.of_tiles(tiles, (down, right))
                yield self._clip(indices, head)[: min(left, length)]
                left -= min(left, length)
        if left or held:
            raise BitstreamError(
                f"{path} holds {len(held)} squares too many, {left} frames too few"
            )

    def _clip(self, indices: Tensor, head: _Head) -> Pixels:
        """Indices [1, (T,) H, W] -> frames [T, rows, columns, 3]."""
        found = anysize.detokenize(self.model, indices, (head.rows, head.columns), "tiles")[0]
        found = found if self.videos else found.unsqueeze(1)
        levels = ((found + 1) * 127.5).round().to(torch.uint8)
        rgb: Pixels = levels.permute(1, 2, 3, 0).cpu().numpy()
        return rgb


def _read(path: Path) -> tuple[_Head, list[bytes]]:
    """Header and streams of a file. Raises BitstreamError for a damaged one."""
    data = path.read_bytes()
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise BitstreamError(f"{path} is no file of tokens", byte=0)
    _, version, zero, rows, columns, frames, top, bottom, count = HEADER.unpack_from(data)
    if version != VERSION or zero:
        raise BitstreamError(f"{path}: files of tokens of version {version} are not known", byte=4)
    sizes = 1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE and frames <= MAX_FRAMES
    if not sizes or (frames and not (top and bottom)):
        raise BitstreamError(
            f"{path}: {columns} x {rows}, {frames} frames are out of range", byte=6
        )
    at, streams = HEADER.size, list[bytes]()
    for _ in range(count):
        (length,) = LENGTH.unpack_from(data, at) if at + LENGTH.size <= len(data) else (1 << 32,)
        at += LENGTH.size
        if at + length > len(data):
            raise BitstreamError(
                f"{path} is cut short: stream {len(streams)} is not whole", byte=at
            )
        streams.append(data[at : at + length])
        at += length
    if at != len(data):
        raise BitstreamError(f"{path} has {len(data) - at} bytes after its end", byte=at)
    rate = Fraction(top, bottom) if frames else Fraction(0)
    return _Head(rows, columns, frames, rate, count), streams


def _write_video(clips: Iterator[Pixels], head: _Head, path: Path) -> None:
    with av.open(path, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=head.rate)
        stream.width, stream.height, stream.pix_fmt = head.columns, head.rows, "bgr0"
        for clip in clips:
            for image in clip:
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
