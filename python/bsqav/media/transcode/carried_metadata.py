"""Metadata, chapters, attachments and cover art on their way from an input into an output."""

from __future__ import annotations

from collections.abc import Callable

from bsqav.media.io.types import Warn
from bsqav.media.metadata.embedded_model import carries, is_model, model_attachment
from bsqav.media.metadata.file_metadata import Attachment, chapters_of, metadata_of
from bsqav.media.mux.base import Muxer
from bsqav.media.transcode.source import Source
from bsqav.media.transcode.tracks import trim_chapters

__all__ = ["carry_metadata"]


def carry_metadata(
    muxer: Muxer,
    source: Source,
    warn: Warn,
    *,
    model: str | None = None,
    embed: bool = False,
    add_cover: Callable[[Attachment], bool] = lambda _: False,
) -> None:
    """Hands metadata, chapters, fonts and cover art of the input to a muxer.

    Args:
        muxer, source: from where to where.
        warn: takes a sentence on what the container does not hold.
        model: id of the model of BSQ video; attached models of other videos are left out.
        embed: attach it, unless the input brings it.
        add_cover: tries what the container does not hold as an attachment in another way.
    """
    muxer.set_metadata(metadata_of(source.container))
    chapters = trim_chapters(
        chapters_of(source.container), origin=source.origin, duration=source.duration
    )
    if chapters and not muxer.set_chapters(chapters):
        warn(f"{len(chapters)} chapters are left out: {muxer.format} holds none")
    attachments = [a for a in source.attachments() if not is_model(a) or _is_of(a, model)]
    if embed and model is not None and not carries(attachments, model):
        attachments.append(model_attachment(model))
    for attachment in attachments:
        if not muxer.add_attachment(attachment) and not add_cover(attachment):
            warn(f"attachment {attachment.name} is left out: {muxer.format} holds none")


def _is_of(attachment: Attachment, model: str | None) -> bool:
    return model is not None and carries([attachment], model)
