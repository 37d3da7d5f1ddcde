"""imageio reads and writes BSQ with the plugin "bsqav", once `register` has been called.

    import bsqav.integrations.imageio
    bsqav.integrations.imageio.register()
    iio.imwrite("out.bsq", image)
    iio.imwrite("out.mkv", images, plugin="bsqav", fps=30)

imageio finds plugins of other packages in no other way: one call per process. Afterwards every file
with BSQ is read by it, and `.bsq` is written by it; videos are written by other plugins where this
one is not named.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

import bsqav.media.pyav_api.container as media
from bsqav.codec.animation import DEFAULT_DURATION, Animation, encode_animation, is_animation
from bsqav.codec.image import encode_image, pillow_info
from bsqav.codec.sequence import SequenceHeader, frame_rate_of, plane_format_of
from bsqav.codec.settings import AnimationArguments, SettingArguments
from bsqav.codec.still import is_still
from bsqav.errors import BsqError, MissingDependencyError, UsageError
from bsqav.media.inspect.frame_reader import FrameReader
from bsqav.media.mux.muxers import FORMATS

try:
    from imageio.config import FileExtension, PluginConfig, known_extensions, known_plugins
    from imageio.core.request import URI_BYTES, InitializationError, IOMode, Request
    from imageio.core.v3_plugin_api import ImageProperties, PluginV3
except ImportError as error:
    raise MissingDependencyError("this needs imageio: pip install 'bsqav[imageio]'") from error

__all__ = ["BsqPlugin", "register"]

NAME = "bsqav"
# Of what reads files of all suffixes, and leaves them to other plugins where there is no BSQ.
READER = "bsqav-reader"
SUFFIX = ".bsq"
DEFAULT_RATE = 25


def register() -> None:
    """Adds the plugin to imageio's, in this process; a second call changes nothing."""
    if NAME in known_plugins:
        return
    ours = {
        name: PluginConfig(
            name=name, class_name=class_name, module_name=__name__, install_name=NAME
        )
        for name, class_name in ((READER, "BsqReader"), (NAME, "BsqPlugin"))
    }
    # Where no suffix helps, imageio tries plugins in this order, and some fail at BSQ.
    others = dict(known_plugins)
    known_plugins.clear()
    known_plugins.update({READER: ours[READER], **others, NAME: ours[NAME]})
    known_extensions[SUFFIX] = [
        FileExtension(name="Binary Spherical Quantization", extension=SUFFIX, priority=[NAME])
    ]
    for suffix in FORMATS:
        entries = known_extensions.setdefault(
            suffix, [FileExtension(name="Video with BSQ", extension=suffix, priority=[])]
        )
        for entry in entries:
            entry.priority.insert(0, READER)


class BsqPlugin(PluginV3):
    """One open file: a `.bsq` still or animation, or the BSQ video of a Matroska, MOV or NUT file.

    Args:
        request: imageio's.
        track: reading a video: which of its BSQ tracks, from 0.
        threads: for coding, 0 for the number of processors.
        options: writing: what all calls of `write` share.
    """

    _opened = False  # imageio closes what could not be opened too, whose request others go on with

    def __init__(
        self, request: Request, *, track: int = 0, threads: int = 0, **options: Any
    ) -> None:
        super().__init__(request)
        self._threads = threads
        self._reader: Animation | FrameReader | None = None
        self._writer: _BsqWriter | _VideoWriter | None = None
        if request.mode.io_mode == IOMode.write:
            if request.extension == SUFFIX:
                self._writer = _BsqWriter(request.get_file(), {"threads": threads, **options})
            elif request.extension in FORMATS:
                self._writer = _VideoWriter(
                    request.get_file(),
                    FORMATS[request.extension],
                    {"threads": threads, **options},
                )
            else:
                raise InitializationError(f"bsqav writes {SUFFIX}, {', '.join(FORMATS)}")
        else:
            if options:
                raise InitializationError(f"reading has no option {', '.join(options)}")
            self._reader = self._open(track)
        self._opened = True

    def _open(self, track: int) -> Animation | FrameReader:
        """What the file holds; another file, or a damaged one, is for another plugin."""
        head = self.request.firstbytes
        try:
            if is_still(head) or is_animation(head):
                return Animation(self.request.get_file().read(), threads=self._threads)
            return FrameReader(self.request.get_file(), track=track, threads=self._threads)
        except BsqError as error:
            self.request.finish()  # the next plugin reads from the start
            raise InitializationError(str(error)) from error

    # ---- reading ----

    @property
    def _images(self) -> Animation | FrameReader:
        if self._reader is None:
            raise UsageError("the file was opened for writing")
        return self._reader

    def _default(self, index: Any) -> Any:
        """No index means the only image of a still, and all images of anything else."""
        return index if index is not None else (0 if len(self._images) == 1 else ...)

    def read(self, *, index: Any = None) -> npt.NDArray[Any]:
        """An image, height x width x 3 or height x width; or all of them, stacked, for `...`.

        Samples are uint8, and uint16 from 0 to 65535 where the file has 10 bits.

        Raises:
            UsageError: there is no such image.
            BitstreamError: it is damaged.
        """
        index = self._default(index)
        if index is Ellipsis:
            return np.stack(list(self._images))
        try:
            image: npt.NDArray[Any] = self._images[index]
        except IndexError as error:
            raise UsageError(str(error)) from error
        return image

    def iter(self) -> Iterator[npt.NDArray[Any]]:
        """All images in order."""
        yield from self._images

    def properties(self, index: Any = None) -> ImageProperties:
        """Shape and type of an image or of all, as `read` gives them; nothing is decoded."""
        index = self._default(index)
        count = len(self._images)
        sequence = self._sequence
        layout = plane_format_of(sequence)
        shape: tuple[int, ...] = (layout.height, layout.width)
        if sequence["rotation"] % 180:
            shape = shape[::-1]
        colours = (0 if layout.chroma == "gray" else 3) + bool(sequence.get("alpha"))
        shape += (colours,) if colours else ()
        return ImageProperties(
            shape=(count, *shape) if index is Ellipsis else shape,
            dtype=np.dtype(np.uint8 if layout.bit_depth == 8 else np.uint16),
            n_images=count if index is Ellipsis else None,
            is_batch=index is Ellipsis,
        )

    @property
    def _sequence(self) -> SequenceHeader:
        images = self._images
        return images.sequence if isinstance(images, Animation) else images.track.sequence

    def metadata(self, index: Any = None, exclude_applied: bool = True) -> dict[str, Any]:
        """Of the file: codec, model, fps, loop, tags, exif and so on; of an image: time, duration.

        Both are in milliseconds.
        """
        images, sequence = self._images, self._sequence
        if isinstance(index, int):
            return self._metadata_of(index)
        rate = frame_rate_of(sequence)
        found: dict[str, Any] = {
            "codec": "bsq",
            "model_id": sequence["model_id"],
            "pixel_format": plane_format_of(sequence).pixel_format,
            **({"fps": float(rate)} if rate else {}),
            **({} if exclude_applied else {"rotation": sequence["rotation"]}),
        }
        if isinstance(images, Animation):
            found["loop"] = images.loops
            found.update(pillow_info(images.metadata))
        else:
            found.update(images.track.metadata)
        return found

    def _metadata_of(self, index: int) -> dict[str, Any]:
        images = self._images
        if isinstance(images, Animation):
            return {"duration": float(1000 * images.duration(index))}
        return {"time": float(1000 * images.time(index))}

    # ---- writing ----

    def write(self, ndimage: Any, *, is_batch: bool | None = None, **options: Any) -> bytes | None:
        """Adds an image, or a batch of them along the first axis, to the file.

        Args:
            ndimage: uint8, height x width x 3 for RGB or height x width for gray; a batch of
                these, or a list.
            is_batch: whether it is one; guessed from the shape where None.
            options: model and settings (see `bsqav.EncoderSettings`), those that `StillArguments`
                and `AnimationArguments` name for a `.bsq` file and all of them for a video; of a
                `.bsq` file also chroma, duration (ms, one or one for each image) and loop; of a
                video fps and pix_fmt. They hold from the first call.

        Returns:
            The file, where the target is "<bytes>".
        """
        if self._writer is None:
            raise UsageError("the file was opened for reading")
        images = list(ndimage) if isinstance(ndimage, list | tuple) else np.asarray(ndimage)
        if is_batch is None:
            is_batch = isinstance(images, list) or _is_batch(images)
        if is_batch and not len(images):
            raise UsageError("there is no image to write")
        self._writer.set(options)
        for image in images if is_batch else [images]:
            self._writer.add(np.asarray(image))
        if self.request._uri_type != URI_BYTES:
            return None
        self._writer.close()
        held: Any = self.request.get_file()
        data: bytes = held.getvalue()
        return data

    def close(self) -> None:
        """Finishes the file."""
        if not self._opened:
            return
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
            if isinstance(self._reader, FrameReader):
                self._reader.close()
        finally:
            self.request.finish()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None and self._writer is not None:
            self._writer.abort()
        self.close()


class BsqReader(BsqPlugin):
    """The same for reading alone, where no plugin was named."""

    def __init__(self, request: Request, **options: Any) -> None:
        # Checked first, since opening would read other plugins' pipes.
        if request.mode.io_mode == IOMode.write or not _may_have_bsq(request.firstbytes):
            raise InitializationError("no file with BSQ that is to be read")
        super().__init__(request, **options)


def _may_have_bsq(head: bytes) -> bool:
    """Whether a file that begins so is of a kind that may hold BSQ."""
    is_container = head.startswith((b"\x1a\x45\xdf\xa3", b"nut/multimedia")) or head[4:8] in (
        b"ftyp",
        b"moov",
        b"wide",
        b"mdat",
    )
    return is_container or is_still(head) or is_animation(head)


def _is_batch(array: npt.NDArray[Any]) -> bool:
    return array.ndim > 3 or (array.ndim == 3 and array.shape[-1] not in (1, 2, 3, 4))


class _BsqWriter:
    """Collects images; they become a still or an animation at the end."""

    KNOWN = (*AnimationArguments.__annotations__, "chroma", "model", "duration", "loop")

    def __init__(self, file: Any, options: dict[str, Any]) -> None:
        self._file = file
        self._options: dict[str, Any] = {}
        self._images: list[npt.NDArray[Any]] | None = []
        self.set(options)

    def set(self, options: dict[str, Any]) -> None:
        """Options of the whole file; the last ones hold."""
        _check_options(options, self.KNOWN)
        self._options.update(options)

    def add(self, image: npt.NDArray[Any]) -> None:
        """Takes one image."""
        if self._images is None:
            raise UsageError("the file is finished")
        self._images.append(image)

    def close(self) -> None:
        """Writes the file."""
        images, self._images = self._images, None
        if images:
            self._file.write(self._encode(images))

    def abort(self) -> None:
        """Writes nothing."""
        self._images = None

    def _encode(self, images: list[npt.NDArray[Any]]) -> bytes:
        options = dict(self._options)
        duration, loop = options.pop("duration", None), options.pop("loop", 0)
        if len(images) == 1:
            options.pop("gop", None)
            return encode_image(images[0], **options)
        durations: Any = DEFAULT_DURATION
        if duration is not None:
            durations = (
                [Fraction(each) / 1000 for each in duration]
                if isinstance(duration, list | tuple)
                else Fraction(duration) / 1000
            )
        return encode_animation(images, durations=durations, loops=int(loop), **options)


class _VideoWriter:
    """Codes images as they come."""

    KNOWN = (*SettingArguments.__annotations__, "model", "fps", "pix_fmt")

    def __init__(self, file: Any, format: str, options: dict[str, Any]) -> None:  # noqa: A002
        self._file, self._format = file, format
        self._options: dict[str, Any] = {}
        self._container: media.OutputContainer | None = None
        self._stream: Any = None
        self._done = False
        self.set(options)

    def set(self, options: dict[str, Any]) -> None:
        """Options of the whole file, which hold from the first image on."""
        _check_options(options, self.KNOWN)
        if self._container is not None and any(
            value != self._options.get(key) for key, value in options.items()
        ):
            raise UsageError("the options hold from the first image: they cannot change later")
        self._options.update(options)

    def add(self, image: npt.NDArray[Any]) -> None:
        """Codes one image."""
        if self._done:
            raise UsageError("the file is finished")
        if image.dtype != np.uint8:
            raise UsageError(f"an array of {image.dtype} is no image: samples are uint8")
        if self._container is None:
            options = dict(self._options)
            rate = Fraction(options.pop("fps", DEFAULT_RATE)).limit_denominator(1001)
            self._container = media.open(self._file, "w", format=self._format)
            pix_fmt = options.pop("pix_fmt", None)
            self._stream = self._container.add_stream("bsq", rate=rate, options=options)
            self._stream.pix_fmt = pix_fmt
        self._container.mux(self._stream.encode(_plain(image)))

    def close(self) -> None:
        """Finishes the file."""
        done, self._done = self._done, True
        if self._container is not None and not done:
            self._container.mux(self._stream.encode(None))
            self._container.close()

    def abort(self) -> None:
        """Leaves the file as it is."""
        if self._container is not None:
            self._container.abort()
        self._done = True


def _check_options(options: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"there is no option {', '.join(unknown)}: take {', '.join(known)}")


def _plain(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An image without the axis that says that it is gray."""
    gray = image.ndim == 3 and image.shape[-1] == 1
    return np.ascontiguousarray(image[..., 0] if gray else image)
