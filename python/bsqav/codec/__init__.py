"""The codec without containers: encoder, decoder, models, and frames as planes."""

from bsqav.codec.animation import Animation, encode_animation
from bsqav.codec.decoder import Decoder
from bsqav.codec.device import DeviceFrame
from bsqav.codec.encoder import Encoder
from bsqav.codec.frame_format import Colour, FrameConverter, PlaneFormat
from bsqav.codec.image import decode_image, encode_image
from bsqav.codec.image_metadata import ImageMetadata
from bsqav.codec.models import (
    Model,
    ModelInfo,
    default_model,
    find_model,
    import_model,
    list_models,
    model_folders,
)
from bsqav.codec.sequence import SequenceHeader, sequence_header
from bsqav.codec.settings import EncoderSettings
from bsqav.codec.units import Frame, Packet

__all__ = [
    "Animation",
    "Colour",
    "Decoder",
    "DeviceFrame",
    "Encoder",
    "EncoderSettings",
    "Frame",
    "FrameConverter",
    "ImageMetadata",
    "Model",
    "ModelInfo",
    "Packet",
    "PlaneFormat",
    "SequenceHeader",
    "decode_image",
    "default_model",
    "encode_animation",
    "encode_image",
    "find_model",
    "import_model",
    "list_models",
    "model_folders",
    "sequence_header",
]
