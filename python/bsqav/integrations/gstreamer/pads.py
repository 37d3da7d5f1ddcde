"""What both elements share: caps, planes in GStreamer's memory, and the order of events."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import gi
import numpy as np
import numpy.typing as npt

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import GLib, GObject, Gst, GstVideo  # noqa: E402

from bsqav.codec.frame_format import Colour, PlaneFormat  # noqa: E402
from bsqav.codec.units import Plane  # noqa: E402
from bsqav.errors import UnsupportedError  # noqa: E402

__all__ = [
    "CODED_CAPS",
    "RAW_FORMATS",
    "BsqElement",
    "GObject",
    "Gst",
    "GstVideo",
    "colour_of_info",
    "copy_fields",
    "frame_buffer",
    "layout_of_info",
    "planes_of_buffer",
    "raw_caps",
    "raw_template",
]

# GStreamer's names of the formats that are coded as they are; samples in 16 bits little-endian.
# By chroma, depth and alpha; for the others GStreamer has no name.
RAW_FORMATS = {
    ("420", 8, False): "I420",
    ("420", 10, False): "I420_10LE",
    ("422", 8, False): "Y42B",
    ("422", 10, False): "I422_10LE",
    ("444", 8, False): "Y444",
    ("444", 10, False): "Y444_10LE",
    ("gray", 8, False): "GRAY8",
    ("420", 8, True): "A420",
    ("420", 10, True): "A420_10LE",
    ("422", 10, True): "A422_10LE",
    ("444", 10, True): "A444_10LE",
}
MAX_SIDE = 8192
NAME = "video/x-bsq"
# How the packets are called on their way: between these elements; into matroskamux, which writes
# the name BSQ1 of this family with its private data; out of matroskademux; out of qtdemux.
MUX_CAPS = "video/x-wmv, wmvversion=(int)3, format=(string)BSQ1"
CODED_CAPS = (
    NAME,
    MUX_CAPS,
    "video/x-unknown, fourcc=(string)BSQ1",
    "video/x-gst-fourcc-BSQ1",
)
# How bright frames may be shown, which containers hold beside the stream, and where chroma lies.
_CARRIED = ("mastering-display-info", "content-light-level", "chroma-site")
_RANGES = {0: 2, 1: 1, 2: 0}  # from the sequence header's to GStreamer's, which are 1 for full


def raw_template() -> Any:
    """Caps of the frames that the elements know."""
    formats = ", ".join(RAW_FORMATS.values())
    side = f"(int)[1, {MAX_SIDE}]"
    return Gst.Caps.from_string(
        f"video/x-raw, format=(string){{ {formats} }}, width={side}, height={side}, "
        "framerate=(fraction)[0/1, max]"
    )


def layout_of_info(info: Any) -> PlaneFormat:
    """Size, chroma and depth that GStreamer's description of frames gives."""
    name = info.finfo.name
    for (chroma, depth, alpha), known in RAW_FORMATS.items():
        if name == known:
            return PlaneFormat(info.width, info.height, chroma, depth, alpha)
    raise UnsupportedError(f"the format {name} is not coded: put videoconvert before bsqenc")


def colour_of_info(info: Any) -> Colour:
    """Colour tags that GStreamer's description of frames gives."""
    given = info.colorimetry
    full = {int(value): key for key, value in _RANGES.items()}[int(given.range)]
    return Colour(
        primaries=_iso(GstVideo.video_color_primaries_to_iso, given.primaries),
        transfer=_iso(GstVideo.video_transfer_function_to_iso, given.transfer),
        matrix=_iso(GstVideo.video_color_matrix_to_iso, given.matrix),
        full_range=full,
    )


def copy_fields(source: Any, target: Any) -> None:
    """Carries what caps say of frames beside their samples over to other caps."""
    given = source.get_structure(0)
    for name in _CARRIED:
        if given.has_field(name):
            target.set_value(name, given.get_value(name))


def _iso(convert: Callable[[Any], int], value: Any) -> int:
    return int(convert(value)) or 2


def raw_caps(
    layout: PlaneFormat, colour: Colour, rate: Fraction | None, aspect: Fraction | None
) -> Any:
    """Caps of frames as they leave the decoder.

    Raises:
        UnsupportedError: GStreamer has no such format.
    """
    name = RAW_FORMATS.get((layout.chroma, layout.bit_depth, layout.alpha))
    if name is None:
        raise UnsupportedError(f"frames of {layout.pixel_format} have no name in these elements")
    rate, aspect = rate or Fraction(0), aspect or Fraction(1)
    caps = Gst.Caps.from_string(
        f"video/x-raw, format=(string){name}, width=(int){layout.width}, "
        f"height=(int){layout.height}, interlace-mode=(string)progressive, "
        f"framerate=(fraction){rate.numerator}/{rate.denominator}, "
        f"pixel-aspect-ratio=(fraction){aspect.numerator}/{aspect.denominator}"
    )
    tags = GstVideo.VideoColorimetry()
    tags.range = GstVideo.VideoColorRange(_RANGES[colour.full_range])
    tags.primaries = GstVideo.video_color_primaries_from_iso(colour.primaries)
    tags.transfer = GstVideo.video_transfer_function_from_iso(colour.transfer)
    tags.matrix = GstVideo.video_color_matrix_from_iso(colour.matrix)
    text = tags.to_string()
    if text and colour != Colour():
        caps.set_value("colorimetry", text)
    return caps


def planes_of_buffer(buffer: Any, data: memoryview, info: Any, layout: PlaneFormat) -> list[Plane]:
    """Height x width views of a mapped buffer."""
    meta = GstVideo.buffer_get_video_meta(buffer)
    offsets, strides = (meta.offset, meta.stride) if meta else (info.offset, info.stride)
    dtype = np.dtype(np.uint8 if layout.bit_depth == 8 else "<u2")
    planes: list[Plane] = []
    for number, (width, height) in enumerate(layout.plane_sizes):
        shape, steps = (height, width), (strides[number], dtype.itemsize)
        planes.append(np.ndarray(shape, dtype, data, offsets[number], steps))
    return planes


def frame_buffer(planes: Sequence[Plane], info: Any) -> Any:
    """A buffer with a copy of the planes, laid out as the caps imply."""
    held = bytearray(info.size)
    for number, plane in enumerate(planes):
        target: npt.NDArray[Any] = np.ndarray(
            plane.shape,
            plane.dtype,
            held,
            info.offset[number],
            (info.stride[number], plane.dtype.itemsize),
        )
        target[:] = plane
    return Gst.Buffer.new_wrapped(bytes(held))


class BsqElement(Gst.Element):  # type: ignore[misc]
    """An element with one pad on either side, which knows its output's caps only from its input.

    Events that come before are held back, since caps must go before segments.
    """

    __gtype_name__ = "BsqElement"
    __gsttemplates__: tuple[Any, Any]  # sink, src

    def __init__(self) -> None:
        super().__init__()
        sink, src = self.__gsttemplates__
        self.sinkpad = Gst.Pad.new_from_template(sink, "sink")
        self.srcpad = Gst.Pad.new_from_template(src, "src")
        self.sinkpad.set_chain_function_full(self._chain)
        self.sinkpad.set_event_function_full(self._event)
        self.add_pad(self.sinkpad)
        self.add_pad(self.srcpad)
        self._held: list[Any] = []
        self._caps_sent = False

    # ---- what the two elements do ----

    def take_caps(self, caps: Any) -> bool:
        """New caps of the input; answers whether they can be taken."""
        raise NotImplementedError

    def take(self, buffer: Any) -> Any:
        """A buffer of the input; answers a Gst.FlowReturn."""
        raise NotImplementedError

    def drain(self) -> Any:
        """Gives all that is left; answers a Gst.FlowReturn."""
        raise NotImplementedError

    def forget(self) -> None:
        """Begins anew, as after a seek."""
        raise NotImplementedError

    def take_event(self, event: Any) -> bool:
        """An event that has to do with the codec; answers whether it ends here."""
        del event
        return False

    # ---- what GStreamer calls ----

    def _chain(self, _pad: Any, _parent: Any, buffer: Any) -> Any:
        try:
            return self.take(buffer)
        except Exception as error:
            self.fail(error)
            return Gst.FlowReturn.ERROR

    def _event(self, pad: Any, parent: Any, event: Any) -> bool:
        try:
            return self._handle(pad, parent, event)
        except Exception as error:
            self.fail(error)
            return False

    def _handle(self, pad: Any, parent: Any, event: Any) -> bool:
        kind = event.type
        if kind == Gst.EventType.CAPS:
            return self.take_caps(event.parse_caps())
        if kind == Gst.EventType.FLUSH_STOP:
            self.forget()
            self._held = []
        elif kind in (Gst.EventType.EOS, Gst.EventType.SEGMENT):
            self.drain()
        if self.take_event(event):
            return True
        if kind == Gst.EventType.EOS:
            self._let_go()
        elif _waits(kind) and not self._caps_sent:
            self._held.append(event)
            return True
        return bool(pad.event_default(parent, event))

    def send_caps(self, caps: Any) -> bool:
        """Tells what comes, and then the events that have waited."""
        if not self.srcpad.push_event(Gst.Event.new_caps(caps)):
            return False
        self._caps_sent = True
        self._let_go()
        return True

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for event in held:
            self.srcpad.push_event(event)

    def warn(self, text: str) -> None:
        """Posts a warning, which gst-launch-1.0 prints."""
        quark = Gst.StreamError.quark()
        given = GLib.Error.new_literal(quark, text, int(Gst.StreamError.ENCODE))
        self.post_message(Gst.Message.new_warning(self, given, text))

    def fail(self, error: Exception) -> None:
        """Ends the pipeline with an error message."""
        text = str(error) or type(error).__name__
        details = "".join(traceback.format_exception(error))
        quark = Gst.StreamError.quark()
        given = GLib.Error.new_literal(quark, text, int(Gst.StreamError.FAILED))
        self.post_message(Gst.Message.new_error(self, given, details))


def _waits(kind: Any) -> bool:
    """Whether an event has its place after the caps."""
    in_order = Gst.EventType.get_flags(kind) & Gst.EventTypeFlags.SERIALIZED
    return bool(in_order) and kind not in (Gst.EventType.STREAM_START, Gst.EventType.FLUSH_STOP)
