"""Decoder: packets in, frames out, without a container."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, SupportsBytes, TypeVar

from bsqav import _core
from bsqav.codec.device import DeviceFrame, open_device
from bsqav.codec.models import ModelLike, find_model
from bsqav.codec.sequence import SequenceHeader
from bsqav.codec.units import Frame
from bsqav.errors import BitstreamError, EndOfStreamError, UsageError

__all__ = ["Decoder"]

# Is taken for a damaged packet between keyframes, whose headers say nothing.
_NO_PACKET = b"\0"
AnyFrame = TypeVar("AnyFrame", Frame, DeviceFrame)


class Decoder:
    """Packets in, frames out. Models are found by the ids that the stream names.

    Args:
        models: models to use beside the installed ones: names, ids, paths or Model objects.
        threads: 1 to 64, 0 for the number of processors.
        max_level: refuse larger frames: log2 of their samples, which are those of luma, with
            alpha and the chroma of 4:2:2 and 4:4:4. 28 refuses none.
        strict: damage is an error instead of a concealed frame.
        device: "cpu", "cuda", "cuda:1", or "auto" for CUDA where it is there (docs/cuda.md); the
            samples are the same everywhere.
        stream: a cudaStream_t of that device as a number, on which all its work is done and which
            outlives the decoder and its frames; 0 is the default stream.

    Raises:
        UsageError: there is no device of that name.
        UnsupportedError: the CUDA backend is not installed, or there is no driver.
    """

    def __init__(
        self,
        *,
        models: Iterable[ModelLike] = (),
        threads: int = 0,
        max_level: int = 28,
        strict: bool = False,
        device: str = "cpu",
        stream: int = 0,
    ) -> None:
        self._models = {model.id: model for model in map(find_model, models)}
        self._threads = threads
        self._max_level = max_level
        self._strict = strict
        self._device = open_device(device)
        if stream != 0 and self._device is None:
            raise UsageError("a stream belongs to a CUDA device; this decoder has none")
        self._stream = stream
        self._core: _core.Decoder | _core.CudaDecoder | None = None
        self._sequence: SequenceHeader | None = None
        self._flushed = False
        self._count = 0
        self._begun = False  # a keyframe has come since the beginning, or since the last reset
        self.skipped = 0
        """Packets so far that came before the first keyframe: they show nothing."""

    @property
    def sequence(self) -> SequenceHeader | None:
        """The last sequence header, None before the first keyframe."""
        return self._sequence

    def decode(
        self, packet: SupportsBytes | bytearray | memoryview | None, *, pts: int | None = None
    ) -> list[Frame]:
        """Takes one packet and returns the frames that are ready; None flushes.

        Args:
            packet: its bytes, or anything that `bytes()` accepts, an av.Packet too.
            pts: when the frame is due, in ticks of the stream; used only where the packet is
                so damaged that its own timestamp cannot be read.

        After an error the decoder goes on with the next keyframe. Intact packets before the first
        keyframe show nothing and are counted in `skipped`.

        Raises:
            BitstreamError: the packet is no BSQ packet, or (strict) is damaged.
            ModelNotFoundError: the stream's model is not installed; `.model_id` names it.
            UnsupportedError: the stream is newer than this library.
        """
        if packet is None:
            return self.flush()
        self._send(bytes(packet), pts)
        return self._drain()

    def lost(self, *, pts: int | None = None) -> list[Frame]:
        """Says that a packet has not come, where that is known before the next one comes.

        The last frame stands in for it at once, marked as concealed, and for others of its group
        that refer to what it held as their packets come. Without this call what was lost has no
        frame.

        Args:
            pts: when the frame was due, in ticks of the stream; as it follows from the one before
                where None.

        Raises:
            BitstreamError: the decoder is strict.
        """
        if self._core is None:
            return []
        self._send(_NO_PACKET, pts)
        return self._drain()

    def decode_on_device(
        self, packet: SupportsBytes | bytearray | memoryview, *, pts: int | None = None
    ) -> list[DeviceFrame]:
        """The same, but the frames' samples stay in the device's memory.

        Raises:
            UsageError: the decoder was not opened on a CUDA device.
        """
        if self._device is None:
            raise UsageError('this decoder has no device: open it with device="cuda"')
        self._send(bytes(packet), pts)
        core = self._core
        return (
            _received(core, core.receive, DeviceFrame)
            if isinstance(core, _core.CudaDecoder)
            else []
        )

    def flush(self) -> list[Frame]:
        """Ends the input and returns what was left."""
        if self._flushed or self._core is None:
            self._flushed = True
            return []
        self._flushed = True
        self._core.flush()
        return self._drain()

    def reset(self) -> None:
        """Forgets all frames, as before a seek; also allows decoding again after a flush."""
        if self._core is not None:
            self._core.reset()
        self._flushed = self._begun = False

    def _send(self, data: bytes, pts: int | None) -> None:
        """Hands one packet to the core."""
        if self._flushed:
            raise EndOfStreamError("the decoder has been flushed: reset() it, or open a new one")
        number = self._count
        self._count += 1
        self._prepare(data, number)
        if self._core is None:
            return
        try:
            self._core.send(data, pts or 0)
        except BitstreamError as error:
            error.packet = number
            raise

    def _open(self) -> _core.Decoder | _core.CudaDecoder:
        """A core with all the models known so far."""
        models = list(self._models.values())
        if self._device is None:
            return _core.Decoder(
                models, threads=self._threads, max_level=self._max_level, strict=self._strict
            )
        return _core.CudaDecoder(
            self._device.library,
            models,
            device=self._device.ordinal,
            stream=self._stream,
            threads=self._threads,
            max_level=self._max_level,
            strict=self._strict,
        )

    def _prepare(self, data: bytes, number: int) -> None:
        """Loads the model that a keyframe names."""
        try:
            info = _core.probe_packet(data)
        except BitstreamError as error:
            if self._core is None or self._strict:
                error.packet = number
                raise
            return
        sequence = info["sequence"]
        if sequence is not None:
            model_id = sequence["model_id"]
            if model_id not in self._models or self._core is None:
                if model_id not in self._models:
                    self._models[model_id] = find_model(model_id)
                self._core = self._open()
            self._sequence = sequence
            self._begun = True
        elif not self._begun:
            self.skipped += 1

    def _drain(self) -> list[Frame]:
        core = self._core
        if core is None:
            return []
        receive = core.receive_host if isinstance(core, _core.CudaDecoder) else core.receive
        return _received(core, receive, Frame)


def _received(
    core: _core.Decoder | _core.CudaDecoder,
    receive: Callable[[], Any],
    kind: Callable[..., AnyFrame],
) -> list[AnyFrame]:
    """The frames that a decoder has now."""
    frames: list[AnyFrame] = []
    while (shown := receive()) is not None and (sequence := core.sequence) is not None:
        planes = tuple(shown.planes)
        place = (shown.pts, shown.duration, shown.keyframe, shown.b_frame, shown.concealed)
        frames.append(kind(planes, *place, sequence))
    return frames
