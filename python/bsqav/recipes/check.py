"""Measures networks in training by the codec itself: model file, C++ encoder, C++ decoder."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bsqav import _core
from bsqav.codec import Decoder, Encoder
from bsqav.errors import UsageError
from bsqav.export.exporter import quantized_networks, write_codec_model
from bsqav.nn.codec.networks import CodecNet
from bsqav.training.codec.loop import TrainConfig
from bsqav.training.codec.pack import Samples, crop, square_planes

CRFS = (16.0, 24.0, 32.0)


def model_of(net: CodecNet, keyframes: CodecNet | None = None) -> _core.Model:
    """The networks' model for an encoder. Raises ModelError for networks without integers.

    keyframes: the networks of keyframes; None: `net` codes all frames.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.bsqm"
        write_codec_model(net, path, {"name": "in training"}, keyframes)
        return _core.Model(path.read_bytes())


def keyframe_networks(weights: Path, config: TrainConfig) -> CodecNet:
    """Finished networks of keyframes for the encoder that a run traces.

    Raises UsageError where the run is trained on keyframes, too, and ModelError for a file that
    holds no weights.
    """
    if config.traces is None or config.traces.layers != "predicted":
        raise UsageError(
            "--keyframes is for recipes that train on predicted frames as the encoder writes them: "
            "codec-v1-traced"
        )
    return quantized_networks(weights)


class CodecCheck:
    """Codes a few clips at several qualities; figures go to the journal of a run.

    clips: [N, T, 3/2 * S, S] as packed, ones that the run is not trained on. keyframes: finished
    networks of keyframes; None: the run's networks code all frames.
    """

    def __init__(
        self, clips: Samples, crfs: tuple[float, ...] = CRFS, keyframes: CodecNet | None = None
    ) -> None:
        size = clips.shape[-1] // 16 * 16
        self.clips = [[square_planes(crop(one, 0, 0, size)) for one in clip] for clip in clips]
        self.size = size
        self.crfs = crfs
        self.keyframes = keyframes

    def __call__(self, net: CodecNet) -> Mapping[str, float]:
        """Luma PSNR (dB, of the mean squared error over all clips) and bits per pixel by crf.

        Raises ModelError for networks that have no integers.
        """
        model, figures = model_of(net, self.keyframes), {}
        for crf in self.crfs:
            error, bits = self._code(model, crf)
            figures[f"check/psnr_y crf {crf:g}"] = 10 * float(np.log10(255**2 / error))
            figures[f"check/bpp crf {crf:g}"] = bits
        return figures

    def _code(self, model: _core.Model, crf: float) -> tuple[float, float]:
        """Mean squared error of luma, and bits per pixel."""
        errors, bits = [], 0
        for pictures in self.clips:
            # The networks are measured, so that they code what is drawn too.
            encoder = Encoder(self.size, self.size, model=model, crf=crf, screen_content=False)
            decoder = Decoder(models=[model])
            packets = [packet for planes in pictures for packet in encoder.encode(planes)]
            packets += encoder.flush()
            frames = [frame for packet in packets for frame in decoder.decode(packet)]
            frames += decoder.flush()
            for frame, planes in zip(frames, pictures, strict=True):
                gap = frame.planes[0].astype(np.float64) - planes[0]
                errors.append(float(np.square(gap).mean()))
            bits += 8 * sum(len(packet) for packet in packets)
        return max(float(np.mean(errors)), 1e-9), bits / (len(errors) * self.size**2)
