"""bsqav.open: files with BSQ video, PyAV-compatible.

with bsqav.open("in.mkv") as container:
for frame in container.decode(video=0):
...

with bsqav.open("out.mkv", "w") as container:
stream = container.add_stream("bsq", rate=30, options={"crf": "32"})
for frame in frames:
container.mux(stream.encode(frame))
container.mux(stream.encode(None))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, overload

from bsqav.codec.models import ModelLike
from bsqav.errors import UsageError
from bsqav.media.io.types import MediaFile
from bsqav.media.pyav_api.container_read import InputContainer
from bsqav.media.pyav_api.container_write import OutputContainer

__all__ = ["InputContainer", "OutputContainer", "open"]


@overload
def open(  # noqa: A001
    file: MediaFile,
    mode: Literal["r"] = "r",
    *,
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    models: Iterable[ModelLike] = (),
    threads: int = 0,
    strict: bool = False,
) -> InputContainer: ...


@overload
def open(  # noqa: A001
    file: MediaFile,
    mode: Literal["w"],
    *,
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    fragmented: bool = False,
    model: ModelLike | None = None,
    embed_model: bool = False,
    threads: int = 0,
    overwrite: bool = True,
) -> OutputContainer: ...


def open(  # noqa: A001
    file: MediaFile,
    mode: Literal["r", "w"] = "r",
    *,
    format: str | None = None,  # noqa: A002
    options: Mapping[str, str] | None = None,
    models: Iterable[ModelLike] = (),
    threads: int = 0,
    strict: bool = False,
    fragmented: bool = False,
    model: ModelLike | None = None,
    embed_model: bool = False,
    overwrite: bool = True,
) -> InputContainer | OutputContainer:
    """Opens a file for reading or writing, as av.open does.

    Args:
        file: a path, or a binary file object, which stays open.
        mode: "r" or "w".
        format: the container's name; by the content (reading) or the suffix (writing) where None.
        options: of FFmpeg's demuxer or muxer.
        models: reading: more models than the installed ones and those that the file carries.
        threads: for coding, 0 for the number of processors.
        strict: reading: damage is an error instead of a concealed frame.
        fragmented: writing MOV: in fragments, playable while it grows.
        model: writing: the model of BSQ streams; the default one where None.
        embed_model: writing Matroska: attach the models of the BSQ streams, so that the file can be
            decoded where they are not installed.
        overwrite: writing: replace a file that is there.

    Raises:
        MediaError (an OSError), InputNotFoundError (a FileNotFoundError): the input cannot be
            opened.
        UsageError: the container cannot be written or hold a model, or the mode is neither.
        OutputExistsError (a FileExistsError): overwrite is False and the file is there.
    """
    if mode == "r":
        return InputContainer(
            file,
            format=format,
            options=dict(options or {}),
            models=tuple(models),
            threads=threads,
            strict=strict,
        )
    if mode == "w":
        return OutputContainer(
            file,
            format=format,
            options=options,
            fragmented=fragmented,
            model=model,
            embed_model=embed_model,
            threads=threads,
            overwrite=overwrite,
        )
    raise UsageError(f'mode must be "r" or "w", not {mode!r}')
