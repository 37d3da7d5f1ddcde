"""Models that travel in the file whose video they decode, as an attachment of Matroska.

Such an attachment is untrusted: its size is limited, and it is a model only if the hash that closes
it is that of its bytes. A stream names its model by this hash, so no other one can take its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bsqav.codec.models import Model, ModelLike, find_model, model_data, model_file_name
from bsqav.errors import BsqError, UsageError
from bsqav.media.metadata.file_metadata import Attachment

__all__ = [
    "MODEL_TYPE",
    "EmbeddedModels",
    "carries",
    "check_can_embed",
    "embedded_models",
    "is_model",
    "is_model_name",
    "model_attachment",
]

MODEL_TYPE = "application/x-bsq-model"
SUFFIX = ".bsqm"
# No released model comes near; larger attachments, and more of them, are not read.
MAX_MODEL_BYTES = 64 << 20
MAX_MODELS = 16
_DIGEST_BYTES, _ID_BYTES = 32, 16


@dataclass(frozen=True)
class EmbeddedModels:
    """What the attachments of a file hold: models, and what is wrong with others."""

    models: tuple[Model, ...] = ()
    faults: tuple[str, ...] = ()


def model_attachment(which: ModelLike) -> Attachment:
    """A model as a file to attach.

    Raises:
        ModelNotFoundError, ModelError, UsageError: there is no file of that model.
    """
    model, data = model_data(which)
    return Attachment(model_file_name(model), MODEL_TYPE, data, f"BSQ model {model.name}")


def check_can_embed(container: str | None) -> None:
    """Raises UsageError where a container (by FFmpeg's name) holds no attachments."""
    if container != "matroska":
        raise UsageError(
            f"{container} holds no attachments, so no model can be embedded: write .mkv, or leave "
            "it away (--embed-model) and give the model's file along"
        )


def is_model(attachment: Attachment) -> bool:
    """Whether an attachment says that it is a model."""
    return is_model_name(attachment.name, attachment.mimetype)


def is_model_name(name: str, mimetype: str) -> bool:
    """The same by its name and type; some programs change the type."""
    return mimetype == MODEL_TYPE or name.lower().endswith(SUFFIX)


def promised_id(data: bytes) -> str:
    """The id that a model file ends in, unchecked."""
    return data[-_DIGEST_BYTES:][:_ID_BYTES].hex()


def embedded_models(attachments: Iterable[Attachment]) -> EmbeddedModels:
    """The models among attachments, checked; for one that is installed, the installed file."""
    models: dict[str, Model] = {}
    faults = []
    candidates = [each for each in attachments if is_model(each)]
    for attachment in candidates[:MAX_MODELS]:
        size = len(attachment.data)
        if size > MAX_MODEL_BYTES:
            faults.append(f"attachment {attachment.name} has {size} bytes, which no model has")
            continue
        try:
            model = _checked(attachment.data)
        except BsqError as error:
            faults.append(f"attachment {attachment.name} is no model that can be used: {error}")
        else:
            models[model.id] = model
    if len(candidates) > MAX_MODELS:
        faults.append(f"{len(candidates) - MAX_MODELS} attached models too many were passed over")
    return EmbeddedModels(tuple(models.values()), tuple(faults))


def _checked(data: bytes) -> Model:
    """The installed model of the same hash, whose weights others may share; else the one here."""
    try:
        return find_model(promised_id(data))
    except BsqError:
        return Model(data)


def carries(attachments: Iterable[Attachment], model_id: str) -> bool:
    """Whether one of the attachments is that model, going by the id it ends in."""
    return any(is_model(each) and promised_id(each.data) == model_id for each in attachments)
