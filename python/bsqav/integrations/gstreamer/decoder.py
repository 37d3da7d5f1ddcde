"""The element bsqdec: BSQ packets to frames."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from bsqav.codec.decoder import Decoder
from bsqav.codec.sequence import SequenceHeader, colour_of, frame_rate_of, sample_aspect_of
from bsqav.codec.units import Frame
from bsqav.integrations.gstreamer.pads import (
    CODED_CAPS,
    BsqElement,
    GObject,
    Gst,
    GstVideo,
    copy_fields,
    frame_buffer,
    raw_caps,
    raw_template,
)

__all__ = ["BsqDecoder"]


class BsqDecoder(BsqElement):
    """Decodes; lost and damaged frames are concealed and flagged as corrupted."""

    __gtype_name__ = "BsqDec"
    __gstmetadata__ = (
        "BSQ decoder",
        "Codec/Decoder/Video",
        "Decodes video of Binary Spherical Quantization",
        "The bsqav authors",
    )
    __gsttemplates__ = (
        Gst.PadTemplate.new(
            "sink",
            Gst.PadDirection.SINK,
            Gst.PadPresence.ALWAYS,
            Gst.Caps.from_string("; ".join(CODED_CAPS)),
        ),
        Gst.PadTemplate.new("src", Gst.PadDirection.SRC, Gst.PadPresence.ALWAYS, raw_template()),
    )

    threads = GObject.Property(
        type=int, default=0, minimum=0, maximum=64, nick="threads", blurb="0: all processors"
    )
    model = GObject.Property(
        type=str, default="", nick="model", blurb="a model beside the installed ones: name or file"
    )

    def __init__(self) -> None:
        super().__init__()
        self._decoder: Decoder | None = None
        self._rate: Fraction | None = None
        self._sequence: SequenceHeader | None = None
        self._info: Any = None
        self._caps: Any = None

    def take_caps(self, caps: Any) -> bool:
        """Remembers the frame rate, which a stream need not state itself."""
        found, num, den = caps.get_structure(0).get_fraction("framerate")
        self._rate = Fraction(num, den) if found and num and den else None
        self._caps, self._sequence = caps, None
        return True

    def take(self, buffer: Any) -> Any:
        """Decodes one packet."""
        if self._decoder is None:
            models = (self.model,) if self.model else ()
            self._decoder = Decoder(models=models, threads=self.threads)
        with buffer.map(Gst.MapFlags.READ) as mapped:
            data = bytes(mapped.data)
        for frame in self._decoder.decode(data):
            result = self._give(frame, buffer)
            if result != Gst.FlowReturn.OK:
                return result
        return Gst.FlowReturn.OK

    def _give(self, frame: Frame, source: Any) -> Any:
        if frame.sequence != self._sequence and not self._announce(frame):
            return Gst.FlowReturn.NOT_NEGOTIATED
        buffer = frame_buffer(frame.planes, self._info)
        # matroskademux gives packets of codecs that it does not know a DTS only; both are the same.
        known = source.pts != Gst.CLOCK_TIME_NONE
        buffer.pts = source.pts if known else source.dts
        buffer.duration = source.duration
        if frame.concealed:
            buffer.set_flags(Gst.BufferFlags.CORRUPTED)
        return self.srcpad.push(buffer)

    def _announce(self, frame: Frame) -> bool:
        """Tells what frames come from here on."""
        sequence = frame.sequence
        rate = frame_rate_of(sequence) or self._rate
        caps = raw_caps(frame.layout, colour_of(sequence), rate, sample_aspect_of(sequence))
        if self._caps is not None:
            copy_fields(self._caps, caps)
        if not self.send_caps(caps):
            return False
        self._sequence = sequence
        self._info = GstVideo.VideoInfo.new_from_caps(caps)
        if sequence["rotation"]:
            tags = Gst.TagList.new_empty()
            tags.add_value(
                Gst.TagMergeMode.REPLACE,
                Gst.TAG_IMAGE_ORIENTATION,
                f"rotate-{sequence['rotation']}",
            )
            self.srcpad.push_event(Gst.Event.new_tag(tags))
        return True

    def drain(self) -> Any:
        """Nothing is left: a packet gives its frame at once."""
        return Gst.FlowReturn.OK

    def forget(self) -> None:
        """Goes on with the next keyframe."""
        if self._decoder is not None:
            self._decoder.reset()
