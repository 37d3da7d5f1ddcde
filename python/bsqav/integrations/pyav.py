"""bsqav.install: PyAV's own av.open reads and writes BSQ, other codecs as ever.

Reading, `av.open` answers with a `bsqav` container where a file holds BSQ, and with PyAV's own
otherwise. Writing, PyAV's container stays what the caller holds; once a BSQ stream is added, a
`bsqav` container writes the file in its place, and takes over the streams that are there.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import av
import av.container
import av.container.core

from bsqav.errors import UnsupportedError, UsageError
from bsqav.media.demux.demuxer import may_be_bsq
from bsqav.media.demux.opening import can_seek
from bsqav.media.metadata.file_metadata import attachments_of
from bsqav.media.mux.muxers import FORMATS
from bsqav.media.pyav_api.container_read import InputContainer
from bsqav.media.pyav_api.container_write import OutputContainer
from bsqav.media.pyav_api.input_stream import BsqInputStream

__all__ = ["install", "is_installed", "uninstall"]

CODEC = "bsq"
NEEDED = "17.1"
_MODULES = (av, av.container, av.container.core)
_KEY = "bsqav"
_lock = threading.RLock()


@dataclass
class _State:
    """What was there before, and the files that are being written."""

    open: Any = None  # PyAV's own av.open; None while nothing is installed
    methods: dict[str, Any] = field(default_factory=dict)  # of PyAV's output container
    writing: weakref.WeakSet[OutputContainer] = field(default_factory=weakref.WeakSet)


_state = _State()


def is_installed() -> bool:
    """Whether PyAV has BSQ at the moment."""
    return _state.open is not None


def install() -> None:
    """Gives PyAV the codec "bsq", in this process; a second call changes nothing.

    Afterwards `av.open("out.mkv", "w").add_stream("bsq", rate=30, options={"crf": "32"})` encodes,
    and `av.open("in.mkv").decode(video=0)` decodes files with BSQ. Such an input is a
    `bsqav.media.pyav_api.container_read.InputContainer`, with PyAV's methods; everything else is
    PyAV's own. An output with BSQ must be closed, by `with` or close(), and is written as
    OUT.partial until then. Names that were imported before (`from av import open`) read as ever.

    Raises:
        UnsupportedError: this PyAV cannot be extended (before 17.1).
    """
    with _lock:
        if is_installed():
            return
        methods = _methods()
        _replace(av.container.OutputContainer, methods)
        _state.open = av.open
        wrapper = _wrap_open(av.open)
        for module in _MODULES:
            module.open = wrapper  # type: ignore[attr-defined]


def uninstall() -> None:
    """Undoes `install`; a second call changes nothing.

    Raises:
        UsageError: files with BSQ are still being written: close them first.
    """
    with _lock:
        if not is_installed():
            return
        if _state.writing:
            raise UsageError(f"{len(_state.writing)} files with BSQ are still being written")
        for module in _MODULES:
            module.open = _state.open  # type: ignore[attr-defined]
        _restore(av.container.OutputContainer)
        _state.open = None


def _replace(target: type, methods: dict[str, Any]) -> None:
    """Sets attributes of a type and remembers what its own were, None for inherited ones."""
    before = {name: vars(target).get(name) for name in methods}
    try:
        for name, method in methods.items():
            setattr(target, name, method)
    except TypeError as error:
        raise UnsupportedError(
            f"PyAV {av.__version__} cannot be extended: {NEEDED} or later is needed, or use "
            "bsqav.open, which does the same"
        ) from error
    _state.methods = before


def _restore(target: type) -> None:
    for name, method in _state.methods.items():
        if method is None:
            delattr(target, name)
        else:
            setattr(target, name, method)
    _state.methods = {}


# ---- reading ----


def _wrap_open(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def open_with_bsq(file: Any, mode: str | None = None, *args: Any, **kwargs: Any) -> Any:
        start = file.tell() if hasattr(file, "tell") and can_seek(file) else None
        container = plain(file, mode, *args, **kwargs)
        if not isinstance(container, av.container.InputContainer):
            return container
        if not any(map(may_be_bsq, container.streams)):
            return container
        found = InputContainer(file, container=container)
        if any(isinstance(stream, BsqInputStream) for stream in found.streams):
            return found
        if start is None and not can_seek(file):
            return found  # a pipe cannot be read twice; all its streams are PyAV's
        found.close()
        if start is not None:
            file.seek(start)
        return plain(file, mode, *args, **kwargs)

    return open_with_bsq


# ---- writing ----


def _writer(container: Any) -> OutputContainer | None:
    # PyAV's containers take no attributes; this dictionary is their only place for an object of
    # ours that lives as long as they do.
    found: OutputContainer | None = container.open_files.get(_KEY)
    return found


def _writer_for(container: Any) -> OutputContainer:
    """What writes a container with BSQ; the streams and descriptions that it has are taken over."""
    found = _writer(container)
    if found is not None:
        return found
    streams = list(_plain("streams").__get__(container))
    for stream in streams:
        if stream.type not in ("audio", "subtitle", "attachment"):
            raise UsageError(
                f"stream {stream.index} ({stream.type}) cannot stand in a file with BSQ: sound, "
                "subtitles and attachments can"
            )
    name = container.format.name
    is_path = container.file is None
    writer = OutputContainer(
        container.name if is_path else container.file.file,
        # Where BSQ has no place, the suffix tells best why.
        format=None if is_path and name not in FORMATS.values() else name,
        options={**container.options, **container.container_options},
    )
    for stream in streams:
        if stream.type != "attachment":
            writer.adopt_stream(stream)
    for attachment in attachments_of(container):
        writer.add_attachment(attachment.name, attachment.mimetype, attachment.data)
    writer.set_chapters(container.chapters())
    writer.metadata = container.metadata
    container.open_files[_KEY] = writer
    _state.writing.add(writer)
    return writer


def _plain(name: str) -> Any:
    """An attribute of PyAV's output container as it was before `install`."""
    own = _state.methods.get(name)
    return getattr(av.container.core.Container, name) if own is None else own


def _add_stream(self: Any, codec_name: str, *args: Any, **kwargs: Any) -> Any:
    """As PyAV's add_stream; the codec may be "bsq"."""
    writer = _writer_for(self) if codec_name == CODEC else _writer(self)
    if writer is None:
        return _plain("add_stream")(self, codec_name, *args, **kwargs)
    return writer.add_stream(codec_name, *args, **kwargs)


def _add_stream_from_template(self: Any, template: Any, *args: Any, **kwargs: Any) -> Any:
    """As PyAV's add_stream_from_template; the template may be a BSQ stream."""
    writer = _writer_for(self) if isinstance(template, BsqInputStream) else _writer(self)
    if writer is None:
        return _plain("add_stream_from_template")(self, template, *args, **kwargs)
    return writer.add_stream_from_template(template)


def _taken(container: Any) -> OutputContainer | None:
    """What writes a container, which is over with that."""
    writer: OutputContainer | None = container.open_files.pop(_KEY, None)
    if writer is not None:
        _state.writing.discard(writer)
    return writer


def _close(self: Any) -> None:
    """Finishes the file."""
    writer = _taken(self)
    if writer is not None:
        writer.close()
    _plain("close")(self)


def _exit(self: Any, *exception: Any) -> None:
    """Finishes the file; where an exception ends it early, it keeps the name OUT.partial."""
    writer = _taken(self)
    if writer is not None:
        writer.__exit__(*exception)
    _plain("close")(self)


def _start_encoding(self: Any) -> None:
    """Writes the head of the file; that of one with BSQ waits for its first picture."""
    if _writer(self) is None:
        _plain("start_encoding")(self)


def _streams(self: Any) -> Any:
    """The streams added so far."""
    writer = _writer(self)
    return _plain("streams").__get__(self) if writer is None else writer.streams


def _handed_on(name: str) -> Callable[..., Any]:
    """A method that goes to the writer where there is one."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        writer = _writer(self)
        if writer is None:
            return _plain(name)(self, *args, **kwargs)
        return getattr(writer, name)(*args, **kwargs)

    return functools.wraps(getattr(av.container.OutputContainer, name))(method)


def _refused(name: str) -> Callable[..., Any]:
    """A method that files with BSQ do not have."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _writer(self) is not None:
            raise UsageError(f"{name} is not there for files with BSQ")
        return _plain(name)(self, *args, **kwargs)

    return functools.wraps(getattr(av.container.OutputContainer, name))(method)


def _methods() -> dict[str, Any]:
    """The attributes of PyAV's output container that know of BSQ."""
    return {
        "add_stream": _add_stream,
        "add_stream_from_template": _add_stream_from_template,
        "close": _close,
        "__exit__": _exit,
        "start_encoding": _start_encoding,
        "streams": property(_streams),
        **{name: _handed_on(name) for name in ("mux", "mux_one", "add_attachment", "set_chapters")},
        **{name: _refused(name) for name in ("add_mux_stream", "add_data_stream")},
    }
