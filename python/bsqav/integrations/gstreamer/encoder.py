"""The element bsqenc: frames to BSQ packets."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from bsqav._core import EncoderSetting
from bsqav.codec.encoder import Encoder
from bsqav.codec.frame_format import PlaneFormat
from bsqav.codec.sequence import sequence_header
from bsqav.codec.settings import SETTINGS, EncoderSettings
from bsqav.codec.units import Packet
from bsqav.errors import UnsupportedError
from bsqav.integrations.gstreamer.pads import (
    MUX_CAPS,
    NAME,
    BsqElement,
    GObject,
    Gst,
    GstVideo,
    colour_of_info,
    copy_fields,
    layout_of_info,
    planes_of_buffer,
    raw_template,
)

__all__ = ["BsqEncoder"]

TIME_BASE = Fraction(1, 90000)
# GStreamer's words for what a sequence header says in degrees clockwise.
ROTATIONS = {"rotate-0": 0, "rotate-90": 90, "rotate-180": 180, "rotate-270": 270}


def _property(setting: EncoderSetting) -> Any:
    """A property of the element; a bit rate of 0 is none, and crf is then used."""
    kinds = {"integer": int, "number": float, "boolean": bool, "choice": str}
    about = {"nick": setting.name.replace("_", "-"), "blurb": setting.help}
    if setting.unit == "bits per second":
        return GObject.Property(type=int, default=0, minimum=0, **about)
    if setting.type in ("boolean", "choice"):
        return GObject.Property(type=kinds[setting.type], default=setting.default, **about)
    return GObject.Property(
        type=kinds[setting.type],
        default=setting.default,
        minimum=setting.minimum,
        maximum=setting.maximum,
        **about,
    )


class BsqEncoder(BsqElement):
    """Encodes; a frame's packet leaves at once unless there is a look-ahead."""

    __gtype_name__ = "BsqEnc"
    __gstmetadata__ = (
        "BSQ encoder",
        "Codec/Encoder/Video",
        "Encodes video with Binary Spherical Quantization",
        "The bsqav authors",
    )
    __gsttemplates__ = (
        Gst.PadTemplate.new("sink", Gst.PadDirection.SINK, Gst.PadPresence.ALWAYS, raw_template()),
        Gst.PadTemplate.new(
            "src",
            Gst.PadDirection.SRC,
            Gst.PadPresence.ALWAYS,
            Gst.Caps.from_string(f"{NAME}; {MUX_CAPS}"),
        ),
    )

    for _name, _setting in SETTINGS.items():
        locals()[_name] = _property(_setting)
    model = GObject.Property(type=str, default="", nick="model", blurb="name or file")

    def __init__(self) -> None:
        super().__init__()
        self._encoder: Encoder | None = None
        self._info: Any = None
        self._sources: dict[int, tuple[int, int]] = {}  # by tick: times in nanoseconds
        self._last: int | None = None
        self._layout: PlaneFormat | None = None
        self._keyframe = False
        self._rotation = 0  # degrees clockwise, as a tag says it
        self._is_stale = False  # settings have changed since the encoder was opened
        self._dropped = 0
        self._caps: Any = None
        self.connect("notify", self._note_change)

    def _note_change(self, _: Any, prop: Any) -> None:
        if prop.owner_type == BsqEncoder.__gtype__:
            self._is_stale = True

    def take_caps(self, caps: Any) -> bool:
        """Takes frames like these from here on."""
        self.drain()
        self._caps = caps
        self._info = GstVideo.VideoInfo.new_from_caps(caps)
        if self._info.interlace_mode != GstVideo.VideoInterlaceMode.PROGRESSIVE:
            raise UnsupportedError("interlaced frames are not coded: put deinterlace before bsqenc")
        self._layout = layout_of_info(self._info)
        return self._begin()

    def _begin(self) -> bool:
        """Opens an encoder by what is set now, and tells what comes."""
        self._is_stale = False
        self._encoder = self._open(self._info)
        return self.send_caps(self._coded_caps(self._info, self._encoder.header))

    def _open(self, info: Any) -> Encoder:
        sequence = sequence_header(
            layout_of_info(info),
            colour_of_info(info),
            time_base=TIME_BASE,
            frame_rate=Fraction(info.fps_n, info.fps_d) if info.fps_n else None,
            sample_aspect=Fraction(info.par_n, info.par_d),
            rotation=self._rotation,
        )
        settings: Any = {name: self.get_property(name.replace("_", "-")) for name in SETTINGS}
        return Encoder(
            sequence=sequence, model=self.model or None, settings=EncoderSettings(**settings)
        )

    def _coded_caps(self, info: Any, header: bytes) -> Any:
        """Caps under the name that the next element knows."""
        allowed = self.srcpad.peer_query_caps(self.srcpad.get_pad_template_caps())
        # The first name that is allowed, this element's own where anything is.
        known = not allowed.is_any() and not allowed.is_empty()
        name = allowed.get_structure(0).get_name() if known else NAME
        caps = Gst.Caps.from_string(
            f"{NAME if name == NAME else MUX_CAPS}, width=(int){info.width}, "
            f"height=(int){info.height}, framerate=(fraction){info.fps_n}/{info.fps_d}, "
            f"pixel-aspect-ratio=(fraction){info.par_n}/{info.par_d}, "
            f"codec_data=(buffer){header.hex()}"
        )
        if info.colorimetry.to_string():
            caps.set_value("colorimetry", info.colorimetry.to_string())
        copy_fields(self._caps, caps)
        return caps

    def take(self, buffer: Any) -> Any:
        """Encodes one frame."""
        if self._layout is None:
            return Gst.FlowReturn.NOT_NEGOTIATED
        if self._is_stale:
            # Properties hold from the next frame on, which begins a group.
            self.drain()
            if not self._begin():
                return Gst.FlowReturn.NOT_NEGOTIATED
        if self._encoder is None:
            self._encoder = self._open(self._info)
        pts = None if buffer.pts == Gst.CLOCK_TIME_NONE else buffer.pts
        tick = None
        if pts is not None:
            tick = round(Fraction(pts, Gst.SECOND) / TIME_BASE)
            if self._last is not None and tick <= self._last:
                self._dropped += 1
                if self._dropped == 1:
                    self.warn(
                        f"a frame at {pts / Gst.SECOND:.3f} s is left out, and others like it: "
                        "it comes at or before the time of the one before"
                    )
                return Gst.FlowReturn.OK
            self._last = tick
            self._sources[tick] = (pts, buffer.duration)
        with buffer.map(Gst.MapFlags.READ) as mapped:
            planes = planes_of_buffer(buffer, mapped.data, self._info, self._layout)
            packets = self._encoder.encode(planes, pts=tick, keyframe=self._keyframe)
            del planes
        self._keyframe = False
        return self._give(packets)

    def _give(self, packets: list[Packet]) -> Any:
        for packet in packets:
            buffer = Gst.Buffer.new_wrapped(packet.data)
            own = round(packet.pts * TIME_BASE * Gst.SECOND)
            pts, duration = self._sources.pop(packet.pts, (own, Gst.CLOCK_TIME_NONE))
            buffer.pts = buffer.dts = pts
            buffer.duration = duration
            if not packet.keyframe:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            if packet.disposable:
                buffer.set_flags(Gst.BufferFlags.DROPPABLE)
            result = self.srcpad.push(buffer)
            if result != Gst.FlowReturn.OK:
                return result
        return Gst.FlowReturn.OK

    def take_event(self, event: Any) -> bool:
        """Makes the next frame a keyframe where that is asked for; takes a tag's rotation."""
        if event.type == Gst.EventType.TAG:
            self._take_orientation(event.parse_tag())
        structure = event.get_structure()
        if structure is not None and structure.get_name() == "GstForceKeyUnit":
            self._keyframe = True
        return False

    def _take_orientation(self, tags: Any) -> None:
        found, orientation = tags.get_string(Gst.TAG_IMAGE_ORIENTATION)
        if not found:
            return
        rotation = ROTATIONS.get(orientation)
        if rotation is None:
            self.warn(
                f"the orientation {orientation} is left out of the stream: no mirroring in it"
            )
        elif rotation != self._rotation:
            self._rotation, self._is_stale = rotation, True

    def drain(self) -> Any:
        """Gives the packets of the look-ahead; what comes next begins with a keyframe."""
        packets = [] if self._encoder is None else self._encoder.flush()
        result = self._give(packets)
        self.forget()
        return result

    def forget(self) -> None:
        """Begins with a keyframe, at any time."""
        self._encoder = None
        self._sources.clear()
        self._last = None
