"""A whole table of the paper: the tokenizer's rows, other codecs' and this package's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bsqav.errors import UsageError
from bsqav.evaluation.compare import still_codecs
from bsqav.evaluation.research.features import FeatureNetwork
from bsqav.evaluation.research.tables.material import Item, film_of, square_film, still_of
from bsqav.evaluation.research.tables.networks import tokenizer_rows
from bsqav.evaluation.research.tables.peers import (
    BsqPeer,
    Peer,
    ReferencePeer,
    StillPeer,
    peer_row,
)
from bsqav.evaluation.research.tables.protocols import Protocol, Size, without_b_frames
from bsqav.evaluation.research.tables.rows import Meter, Row
from bsqav.nn.paper.anysize import Way
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.lpips import LPIPS
from bsqav.training.paper.image_sources import Source
from bsqav.training.paper.images import MediaFolder

__all__ = ["Choices", "Table", "make_table"]

CRFS = (12.0, 24.0, 36.0, 48.0, 63.0)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Choices:
    """What a user chooses of a table.

    peers: names of codecs. size: that videos are scaled to, None for their own. rate: of the codecs
    in bits per pixel, None for the tokenizer's. codec: the package's model, None for the default.
    frames: of each video at most. side: of squares, None for the tokenizer's.
    """

    peers: tuple[str, ...] = ()
    size: Size | None = None
    rate: float | None = None
    codec: str | None = None
    frames: int | None = None
    side: int | None = None
    way: Way = "tiles"
    device: str = "cpu"
    threads: int = 0


@dataclass(frozen=True)
class Table:
    """Rows, the rate at which codecs were compared, and how it was measured."""

    protocol: Protocol
    items: int
    rate: float
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_table(
    protocol: Protocol,
    data: MediaFolder,
    sources: Sequence[Source],
    model: BSQViT,
    name: str,
    choices: Choices,
    prior: ARPrior | None = None,
    lpips: LPIPS | None = None,
    network: FeatureNetwork | None = None,
    say: Say = lambda _: None,
) -> Table:
    """Measures the table of a data set.

    Raises UsageError for a tokenizer of images where the table is of clips, and whatever does not
    fit; MediaError for what cannot be read.
    """
    frames = model.config.frames
    if protocol.fit == "squares" and protocol.videos != (frames > 1):
        kind = "videos" if protocol.videos else "images"
        raise UsageError(f"the table {protocol.name} is of {kind}, the tokenizer is not")
    if not protocol.videos and frames > 1:
        raise UsageError(f"the table {protocol.name} is of images, the tokenizer of videos")
    meter = partial(Meter, lpips, network, choices.device)
    with tempfile.TemporaryDirectory(prefix="bsqav-table-") as folder:
        every = partial(_items, protocol, sources, model, choices, Path(folder))
        say(f"{name}: {len(sources)} of {protocol.data}")
        rows = tokenizer_rows(model, prior, every(), meter(), choices.way, name)
        rate = choices.rate or rows[-1].bpp
        for peer in _peers(protocol, choices):
            say(f"{peer.title}: looking for {rate:.4f} bpp")
            rows.append(peer_row(peer, every, rate, meter(), frames))
    notes = _notes(protocol, data, choices, model)
    items = len(sources)
    if (
        protocol.videos
        and protocol.fit == "squares"
        and (short := items - rows[0].frames // frames)
    ):
        notes.append(f"{short} videos have fewer than {frames} frames and were left out")
        items -= short
    return Table(protocol, items, rate, rows, notes)


def _items(
    protocol: Protocol,
    sources: Sequence[Source],
    model: BSQViT,
    choices: Choices,
    folder: Path,
) -> Iterator[Item]:
    """What is coded, in order; a video's file is replaced by the next one's."""
    side = (choices.side or model.config.size[0]) if protocol.fit == "squares" else None
    for source in sources:
        if not protocol.videos:
            yield still_of(source, side)
        elif side is None:
            yield film_of(source, folder / "source.y4m", choices.size, choices.frames)
        elif film := square_film(source, folder / "source.y4m", side, model.config.frames):
            yield film


def _peers(protocol: Protocol, choices: Choices) -> Iterator[Peer]:
    names = choices.peers
    if not protocol.videos:
        yield from (StillPeer(still_codecs.REFERENCES[name]) for name in names)
        yield StillPeer(still_codecs.bsq_codec(CRFS, choices.codec, choices.threads))
        return
    yield from (ReferencePeer(without_b_frames(name)) for name in names)
    yield BsqPeer(choices.codec, CRFS)


def _notes(protocol: Protocol, data: MediaFolder, choices: Choices, model: BSQViT) -> list[str]:
    """How it was measured, in sentences."""
    side = choices.side or model.config.size[0]
    if protocol.fit == "squares":
        found = [f"central squares, scaled to {side} x {side} with Lanczos"]
    elif protocol.videos:
        size = f"{choices.size[0]}x{choices.size[1]}" if choices.size else "their own size"
        every = "all frames" if choices.frames is None else f"{choices.frames} frames at most"
        found = [f"{every}, scaled to {size} in 4:2:0 of 8 bits with Lanczos"]
    else:
        found = ["whole images"]
    if protocol.fit == "whole":
        rows, columns = model.config.size
        tiles = f"in tiles of {columns} x {rows}, which padding fills"
        found.append(f"the tokenizer: {tiles if choices.way == 'tiles' else 'in one piece'}")
    if matrices := data.matrices():
        found.append(f"raw videos: {matrices}")
    if protocol.videos:
        found.append("videos of a matrix that is not tagged: BT.709 from 720 lines on, else BT.601")
    found.append(
        "figures: of RGB, means over frames; a tokenizer's pixels are not rounded. Codecs: one "
        "setting for all, of the rate that is nearest"
    )
    found.append(
        "ms of a frame; fps: of encode, entropy coding and decode, as the paper adds them up"
    )
    return found
