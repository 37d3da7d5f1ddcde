"""Images and videos to shards of tokens, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from bsqav.codec.files import written_whole
from bsqav.errors import MediaError, UsageError
from bsqav.nn.paper import anysize
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.fingerprints import check_tokenizer, fingerprint
from bsqav.nn.paper.store import load_model
from bsqav.training.common.setup import digest_of_data
from bsqav.training.paper.image_sources import (
    IMAGES,
    VIDEOS,
    Matrix,
    Source,
    find_sources,
    frames_of,
    open_image,
    open_video,
)
from bsqav.training.paper.token_shards import (
    INDEX,
    SUFFIXES,
    Sample,
    ShardFormat,
    read_index,
    read_shard,
    write_index,
    write_shard,
)

__all__ = ["TokenizeConfig", "detokenize", "load_tokenizer", "sources_of", "tokenize"]

Pixels = npt.NDArray[np.uint8]
Fit = Literal["squares", "tiles", "whole"]


@dataclass(frozen=True)
class TokenizeConfig:
    """How images and videos become samples.

    fit: squares, random ones of the tokenizer's size from the image with its shorter side at that
    size, the middle where `crops` is 1; tiles and whole: everything at its own size, see anysize.
    crops: squares of an image, or of each clip. flips: also all of them mirrored. clips: of a video
    at most, those of the tokenizer's frames that follow each other; 0: all. form: of the shards.
    per_shard: images or videos in a shard. seed: of the squares. batch: that the network takes.
    """

    fit: Fit = "squares"
    crops: int = 1
    flips: bool = False
    clips: int = 0
    form: ShardFormat = "webdataset"
    per_shard: int = 1000
    seed: int = 1
    batch: int = 16

    def check(self) -> None:
        """Raises UsageError for values out of range."""
        if min(self.crops, self.per_shard, self.batch) < 1 or self.clips < 0:
            raise UsageError("crops, per-shard and batch are at least 1, clips at least 0")
        if self.fit != "squares" and self.crops > 1:
            raise UsageError(f"with --fit {self.fit} there is one sample of an image: no --crops")


def load_tokenizer(path: Path, device: str = "cpu") -> BSQViT:
    """A tokenizer by its file, folder or name, on a device. Raises ModelError for another model."""
    return load_model(path, BSQViT).to(device)


def sources_of(
    inputs: Sequence[Path], videos: bool, listed: Path | None = None, matrix: Matrix = "auto"
) -> list[tuple[str, Source]]:
    """Keys and sources of files, folders and .tar shards, in their order.

    Raises MediaError where one of them holds none, UsageError where two have one key.
    """
    found: dict[str, Source] = {}
    for given in inputs:
        if given.is_file() and given.suffix.lower() in (VIDEOS if videos else IMAGES):
            sources = [Source(given, matrix=matrix)]
        elif given.exists():
            sources = find_sources(given, videos, listed, matrix)
        else:
            raise FileNotFoundError(f"{given} does not exist")
        for source in sources:
            inside = Path(source.member or source.path.name)
            if not source.member and source.path != given:
                inside = source.path.relative_to(given)
            key = str(inside.with_suffix("")).replace(".", "_").lstrip("/")
            if key in found:
                raise UsageError(f"{found[key]} and {source} would have one key, {key}")
            found[key] = source
    return list(found.items())


def tokenize(
    model: BSQViT,
    sources: Sequence[tuple[str, Source]],
    out: Path,
    config: TokenizeConfig,
    *,
    skip_damaged: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Writes the shards that are not there yet; returns the number of samples of all.

    The folder belongs to one tokenizer, one configuration and the same sources: another call with
    the same goes on where the last one ended. cancelled: polled after each source; true ends the
    call with KeyboardInterrupt, and whole shards stay. Raises UsageError where the folder holds
    something else, MediaError for what cannot be read unless damaged sources are skipped.
    """
    config.check()
    index = _begun(model, sources, out, config)
    work = _Work(
        model.eval(), config, index["tokenizer"], list(index["classes"]), skip_damaged, say
    )
    for first in range(0, len(sources), config.per_shard):
        name = f"tokens-{first // config.per_shard:06d}{SUFFIXES[config.form]}"
        if name in index["shards"]:
            continue
        samples: list[Sample] = []
        for key, source in sources[first : first + config.per_shard]:
            samples += work.samples(key, source)
            if cancelled():
                raise KeyboardInterrupt
        if samples:
            write_shard(out / name, samples, config.form)
        index["shards"] = [*index["shards"], *([name] if samples else [])]
        index["samples"] += len(samples)
        index["damaged"] += work.damaged
        work.damaged = 0
        write_index(out, index)
        say(f"{min(first + config.per_shard, len(sources))} of {len(sources)}: {out / name}")
    if not index["samples"]:
        raise MediaError("nothing could be read: there are no tokens to write")
    write_index(out, {**index, "complete": True})
    return int(index["samples"])


def _begun(
    model: BSQViT, sources: Sequence[tuple[str, Source]], out: Path, config: TokenizeConfig
) -> dict[str, Any]:
    """The index of a new folder, or of one to go on with."""
    labels = {source.label for _, source in sources}
    classes = [] if "" in labels else sorted(labels, key=lambda name: (len(name), name))
    if not all(name.isdecimal() for name in labels):
        classes.sort()
    settings = {name: value for name, value in asdict(config).items() if name != "batch"}
    index: dict[str, Any] = {
        "tokenizer": fingerprint(model),
        "bits": int(model.quantizer.bits) if model.quantizer.bits % 1 == 0 else 0,
        "frames": model.config.frames,
        "settings": settings,
        "files": digest_of_data((key, source.byte_count()) for key, source in sources),
        "classes": classes,
    }
    if not index["bits"]:
        raise UsageError("tokens of this quantizer have no whole number of bits")
    if (out / INDEX).exists():
        known = read_index(out)
        for name, value in index.items():
            if known[name] != value:
                raise UsageError(f"{out} holds tokens of another call: {name} differs")
        return known
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: tokens go to a folder of their own")
    out.mkdir(parents=True, exist_ok=True)
    index |= {"shards": [], "samples": 0, "damaged": 0, "complete": False}
    write_index(out, index)
    return index


class _Work:
    """Turns sources into samples."""

    def __init__(
        self,
        model: BSQViT,
        config: TokenizeConfig,
        tokenizer: str,
        classes: list[str],
        skip_damaged: bool,
        say: Callable[[str], None],
    ) -> None:
        self.model, self.config, self.tokenizer = model, config, tokenizer
        self.number = {name: i for i, name in enumerate(classes)}
        self.skip_damaged, self.say, self.damaged = skip_damaged, say, 0

    def samples(self, key: str, source: Source) -> list[Sample]:
        """Of an image, or of all clips of a video; none of a damaged one that is skipped."""
        try:
            return list(self._samples(key, source))
        except MediaError as error:
            if not self.skip_damaged:
                raise
            self.damaged += 1
            self.say(f"skipped: {error}")
            return []

    def _samples(self, key: str, source: Source) -> Iterator[Sample]:
        videos = self.model.config.frames > 1
        for name, frames, times, rate in _clips(key, source, self.model.config.frames, self.config):
            squares = self._squares(frames, name)
            for start in range(0, len(squares), self.config.batch):
                part = squares[start : start + self.config.batch]
                indices = self._indices(np.stack([pixels for _, pixels in part]))
                for (place, pixels), tokens in zip(part, indices, strict=True):
                    yield Sample(
                        name + place,
                        tokens if videos else tokens[0],
                        int(self.model.quantizer.bits),
                        self.tokenizer,
                        (pixels.shape[1], pixels.shape[2]),
                        source.label,
                        self.number.get(source.label, 0),
                        times,
                        rate,
                    )

    def _indices(self, pixels: Pixels) -> npt.NDArray[np.int64]:
        """[B, T, rows, columns, 3] -> indices [B, T, H, W]."""
        x = torch.from_numpy(pixels).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
        x = x.to(self.model.embed.weight.device)
        x = x if self.model.config.frames > 1 else x[:, :, 0]
        way: anysize.Way = "tiles" if self.config.fit == "tiles" else "whole"
        indices = anysize.tokenize(self.model, x, way)
        indices = indices if indices.dim() == 4 else indices.unsqueeze(1)
        return indices.cpu().numpy()

    def _squares(self, frames: Pixels, name: str) -> list[tuple[str, Pixels]]:
        """Ends of keys and parts [T, rows, columns, 3] of an image or clip."""
        config, (rows, columns) = self.config, self.model.config.size
        if config.fit != "squares":
            found = [("", frames)]
        else:
            small = _shorter_side(frames, rows, columns)
            down, right = small.shape[1] - rows, small.shape[2] - columns
            places = [(down // 2, right // 2)]
            if config.crops > 1:
                seed = [config.seed, *name.encode("utf-8", "surrogateescape")]
                rng = np.random.default_rng(seed)
                places = [
                    (int(rng.integers(0, down + 1)), int(rng.integers(0, right + 1)))
                    for _ in range(config.crops)
                ]
            found = [
                (f"-c{i:03d}" if config.crops > 1 else "", small[:, y : y + rows, x : x + columns])
                for i, (y, x) in enumerate(places)
            ]
        if config.flips:
            found += [(f"{place}-m", pixels[:, :, ::-1]) for place, pixels in found]
        return found


def _shorter_side(frames: Pixels, rows: int, columns: int) -> Pixels:
    """[T, ...] scaled so that rows x columns just fit in."""
    _, height, width, _ = frames.shape
    scale = max(rows / height, columns / width)
    size = max(columns, round(width * scale)), max(rows, round(height * scale))
    if size == (width, height):
        return frames
    how = Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, how)) for frame in frames])


def _clips(
    key: str, source: Source, frames: int, config: TokenizeConfig
) -> Iterator[tuple[str, Pixels, tuple[float, ...], float]]:
    """Key, frames [T, rows, columns, 3], their times and the rate: of an image, or of each clip."""
    if frames == 1:
        yield key, np.asarray(open_image(source))[None], (), 0.0
        return
    held: list[Pixels] = []
    times: list[float] = []
    count = 0
    with open_video(source) as container:
        rate = float(container.streams.video[0].average_rate or 0)
        for number, frame in enumerate(frames_of(source, container)):
            held.append(frame.reformat(format="rgb24").to_ndarray().astype(np.uint8, copy=False))
            times.append(float(frame.time) if frame.time is not None else number / (rate or 25))
            if len(held) == frames:
                name = f"{key}-t{number + 1 - frames:06d}"
                yield name, np.stack(held), tuple(round(time, 6) for time in times), rate
                held, times, count = [], [], count + 1
                if count == config.clips:
                    return
    if not count:
        raise MediaError(f"{source} has fewer than {frames} frames, which a clip has")


# ---- and back ----


@torch.no_grad()
def detokenize(model: BSQViT, folder: Path, out: Path, limit: int | None = None) -> Iterator[Path]:
    """Writes a PNG of every image, a lossless video (FFV1 in Matroska) of every clip; yields paths.

    Raises ModelError for another tokenizer than that of the tokens, MediaError for damaged shards.
    """
    index = read_index(folder)
    check_tokenizer(index["tokenizer"], model, str(folder))
    way: anysize.Way = "tiles" if index["settings"]["fit"] == "tiles" else "whole"
    samples = (sample for name in index["shards"] for sample in read_shard(folder / name))
    for count, sample in enumerate(samples):
        if count == limit:
            return
        indices = torch.from_numpy(sample.indices.astype(np.int64))[None]
        indices = indices.to(model.embed.weight.device)
        pixels = anysize.detokenize(model, indices, sample.size, way)[0]
        frames = pixels if pixels.dim() == 4 else pixels.unsqueeze(1)
        rgb = ((frames + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).cpu().numpy()
        yield _write(rgb, out / sample.key, sample)


def _write(rgb: Pixels, path: Path, sample: Sample) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not sample.times:
        path = path.with_name(f"{path.name}.png")
        with written_whole(path) as partial:
            Image.fromarray(rgb[0]).save(partial, "PNG")
        return path
    path = path.with_name(f"{path.name}.mkv")
    with written_whole(path) as partial, av.open(partial, "w", format="matroska") as container:
        stream = container.add_stream(
            "ffv1", rate=Fraction(sample.rate or 25).limit_denominator(1001)
        )
        stream.width, stream.height, stream.pix_fmt = rgb.shape[2], rgb.shape[1], "bgr0"
        for image in rgb:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path
