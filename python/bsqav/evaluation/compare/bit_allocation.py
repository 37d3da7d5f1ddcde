"""Bit allocation of a BSQ file: bits and quality of each frame, and a map of one frame's bits."""

import tempfile
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bsqav import _core
from bsqav.codec.frame_format import planes_to_frame
from bsqav.codec.models import Model, find_model
from bsqav.codec.sequence import CodedFrame, plane_format_of
from bsqav.errors import MediaError, UsageError
from bsqav.evaluation.compare.plots import COLORS, new_figure, save
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.images import Pixels
from bsqav.evaluation.io.sources import read_source
from bsqav.evaluation.io.y4m import Y4mFile
from bsqav.evaluation.metrics.pixels import psnr
from bsqav.media.demux.demuxer import BsqPacket
from bsqav.media.demux.inputs import input_name, open_input

Map = NDArray[np.float64]
Models = dict[str, Model]

PLOT_SUFFIXES = (".png", ".svg", ".pdf", ".webp")
TOKEN = 8  # luma samples on a side


@dataclass
class BitAllocation:
    """What was found in the first BSQ track of a file.

    bits       of every frame, in the order of display; the one that a packet shows has what the
               packet holds besides frames
    keyframes  which of them are keyframes
    crf        of every frame
    psnr_y     dB of luma against the original of every frame, cut at 60; empty without one
    shown      number of the frame that `image` and `token_bits` are of
    image      that frame as RGB uint8 [H, W, 3]
    token_bits its bits by token [h, w]: shared out by the bits that are set in each token's layers,
               where the cost is, since most bits are 0
    """

    bits: list[int] = field(default_factory=list)
    keyframes: list[bool] = field(default_factory=list)
    crf: list[float] = field(default_factory=list)
    psnr_y: list[float] = field(default_factory=list)
    shown: int = 0
    image: Pixels = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    token_bits: Map = field(default_factory=lambda: np.zeros((0, 0)))


def examine(file: Any, *, frame: int | None = None, original: Path | None = None) -> BitAllocation:
    """Decodes the first BSQ track of a file.

    frame     which frame to map; None takes the largest that is no keyframe
    original  the clip that it was made from, of the same size, for the quality of each frame

    Raises UsageError for a frame that is not there, MediaError for a file without BSQ,
    EvaluationError for an original of another size, and what decoding raises.
    """
    name = input_name(file)
    packets, models = _packets(file, name)
    found = BitAllocation()
    _find_frames(packets, found)
    found.shown = _largest(found) if frame is None else frame
    if not 0 <= found.shown < len(packets):
        raise UsageError(f"{name} has no frame {frame}: it has {len(packets)}, from 0")
    if original is None:
        _decode(packets, models, found, None)
        return found
    with tempfile.TemporaryDirectory(prefix="bsqav-info-") as folder:
        source = read_source(original, Path(folder) / "source.y4m")
        _decode(packets, models, found, Y4mFile(source.path))
    return found


def _packets(file: Any, name: str) -> tuple[list[bytes], Models]:
    """The packets of the first BSQ track, and the models that the file carries, by their ids."""
    with open_input(file) as demuxer:
        if not demuxer.tracks:
            raise MediaError(f"{name} has no BSQ video in it")
        stream = demuxer.tracks[0].stream
        models = {model.id: model for model in demuxer.models(lambda _: None)}
        packets = [p for p in demuxer.demux(stream) if isinstance(p, BsqPacket)]
    found = [packet.data for packet in packets if not packet.before_keyframe]
    if not found:
        raise MediaError(f"{name} has a BSQ track without a frame")
    return found, models


def _find_frames(packets: list[bytes], found: BitAllocation) -> None:
    """Sets bits, keyframes and crf: frames may be in a packet before the one that shows them."""
    headers = [_core.probe_packet(data) for data in packets]
    found.keyframes = [bool(header["keyframe"]) for header in headers]
    found.bits = [8 * len(data) for data in packets]
    found.crf = [0.0] * len(packets)
    groups = list(accumulate(found.keyframes))
    indices = [header["index_in_group"] for header in headers]
    shown_by = {place: i for i, place in enumerate(zip(groups, indices, strict=True))}
    coded: dict[int, tuple[int, float]] = {}  # index in the group -> number, crf
    for i, data in enumerate(packets):
        if found.keyframes[i]:
            coded.clear()
        for frame in _core.probe_frames(data):
            index = indices[i] + frame["ahead"]
            coded[index] = (len(coded), _crf(frame, index, coded))
            # the end of a group may be cut off
            at = shown_by.get((groups[i], index), i)
            found.crf[at] = coded[index][1]
            found.bits[i] -= 8 * frame["bytes"]
            found.bits[at] += 8 * frame["bytes"]


def _crf(frame: CodedFrame, index: int, coded: dict[int, tuple[int, float]]) -> float:
    """A frame's own, or that of the reference that was decoded later."""
    if frame["crf"] >= 0:
        return frame["crf"]
    references = (index - frame["back"], index + frame["forth"])
    return max((coded[i] for i in references if i in coded), default=(0, 0.0))[1]


def _largest(found: BitAllocation) -> int:
    others = [i for i, key in enumerate(found.keyframes) if not key]
    return max(others or range(len(found.bits)), key=lambda i: found.bits[i])


def _decode(
    packets: list[bytes], models: Models, found: BitAllocation, source: Y4mFile | None
) -> None:
    decoder: _core.Decoder | None = None
    for i, data in enumerate(packets):
        sequence = _core.probe_packet(data)["sequence"]
        if sequence is not None and decoder is None:
            model_id = sequence["model_id"]
            model = models.get(model_id) or find_model(model_id)
            decoder = _core.Decoder([model], keep_layers=True)
        if decoder is None:
            raise MediaError("the track does not begin with a keyframe")
        decoder.send(data)
        frame = decoder.receive()
        if frame is None:
            raise MediaError(f"packet {i} gave no frame")
        if source is not None and i < len(source):
            found.psnr_y.append(_psnr_y(frame, source, i))
        if i == found.shown:
            _examine_frame(decoder, frame, found)
            if source is None:
                return


def _psnr_y(frame: _core.Frame, source: Y4mFile, index: int) -> float:
    ours, theirs = frame.planes[0], source[index][0]
    if ours.shape != theirs.shape or frame.bit_depth != 8:
        raise EvaluationError(
            f"the original is {theirs.shape[1]}x{theirs.shape[0]} at 8 bits, the file "
            f"{ours.shape[1]}x{ours.shape[0]} at {frame.bit_depth}: "
            "quality needs frames of the same format"
        )
    return min(60.0, psnr(ours, theirs))


def _examine_frame(decoder: _core.Decoder, frame: _core.Frame, found: BitAllocation) -> None:
    sequence: Any = decoder.sequence
    shown = planes_to_frame(frame.planes, plane_format_of(sequence))
    found.image = shown.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    layers = [_set_bits(bits) for _, bits in decoder.layer_tokens]
    if not layers:
        raise EvaluationError(f"frame {found.shown} is damaged: its tokens are not known")
    weight = np.sum(layers, axis=0)
    found.token_bits = weight * (found.bits[found.shown] / max(1.0, float(weight.sum())))


def _set_bits(words: NDArray[np.uint32]) -> Map:
    """How many bits are set in each token: [h, w, stages] words -> [h, w]."""
    octets = np.ascontiguousarray(words).view(np.uint8)
    counts: Map = np.unpackbits(octets, axis=2).sum(axis=2).astype(np.float64)
    return counts


def plot(found: BitAllocation, path: Path, title: str) -> None:
    """Writes the plot, in the format that the end of its name says (PLOT_SUFFIXES).

    Raises UsageError for another end, MissingToolError without Matplotlib.
    """
    if path.suffix.lower() not in PLOT_SUFFIXES:
        raise UsageError(f"{path.name}: a plot is one of {', '.join(PLOT_SUFFIXES)}")
    wide = found.image.shape[1] / found.image.shape[0]
    many = len(found.bits) > 1
    figure = new_figure(11.0, (4.6 if many else 0.5) + 5.2 / wide)
    heights = [1.6, 1.2, 2.4 * 1.6 / wide] if many else [1.0]
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    if many:
        _plot_bits(figure.add_subplot(grid[0, :]), found)
        _plot_quality(figure.add_subplot(grid[1, :]), found)
    left, right = figure.add_subplot(grid[-1, 0]), figure.add_subplot(grid[-1, 1])
    _plot_image(left, found)
    image = _plot_map(right, found)
    figure.colorbar(image, ax=right, label=f"bits per token of {TOKEN}x{TOKEN}", shrink=0.85)
    figure.suptitle(title, fontsize=11)
    save(figure, path, 110)


def _plot_bits(axes: Any, found: BitAllocation) -> None:
    colors = [COLORS[0] if key else COLORS[1] for key in found.keyframes]
    axes.bar(range(len(found.bits)), found.bits, width=0.9, color=colors)
    axes.set_yscale("log")
    axes.set_ylabel("bits per frame")
    mean = sum(found.bits) / len(found.bits)
    axes.axhline(mean, color="#495057", lw=0.8, ls="--")
    axes.set_title(f"keyframes in red; mean {mean:.0f} bits", fontsize=9, loc="left")
    axes.set_ylim(bottom=max(1, min(found.bits) / 3))
    _frame_axis(axes, found)


def _frame_axis(axes: Any, found: BitAllocation) -> None:
    axes.set_xlim(-0.01 * len(found.bits) - 0.5, 1.01 * len(found.bits) - 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _plot_quality(axes: Any, found: BitAllocation) -> None:
    if found.psnr_y:
        axes.plot(found.psnr_y, color=COLORS[2], lw=1.4)
        axes.set_ylabel("PSNR-Y (dB)")
    else:
        axes.step(range(len(found.crf)), found.crf, where="mid", color=COLORS[2], lw=1.4)
        axes.invert_yaxis()
        axes.set_ylabel("crf")
    axes.axvline(found.shown, color="#495057", lw=0.8, ls="--")
    axes.set_xlabel("frame; the dashed one is shown below")
    _frame_axis(axes, found)
    axes.grid(alpha=0.3)


def _plot_image(axes: Any, found: BitAllocation) -> None:
    axes.imshow(found.image)
    kind = "keyframe" if found.keyframes[found.shown] else "frame"
    axes.set_title(f"{kind} {found.shown}, {found.bits[found.shown]} bits", fontsize=9)
    axes.axis("off")


def _plot_map(axes: Any, found: BitAllocation) -> Any:
    height, width = found.image.shape[:2]
    rows, columns = found.token_bits.shape
    extent = (0, columns * TOKEN, rows * TOKEN, 0)
    image = axes.imshow(found.token_bits, cmap="inferno", extent=extent, interpolation="nearest")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_title("where its bits went (shared out by the bits set)", fontsize=9)
    axes.axis("off")
    return image
