"""PyTorch networks of bsqav: the codec's tokenizer and prior with fake quantization."""

from bsqav.nn.codec.networks import CodecNet, Prior, TokenizerDecoder, TokenizerEncoder

__all__ = ["CodecNet", "Prior", "TokenizerDecoder", "TokenizerEncoder"]
