"""What training tests ask of the models that runs export."""

from pathlib import Path

import numpy as np

from bsqav.codec.modelfile import read_model


def changed_networks(first: Path, second: Path) -> set[str]:
    """The networks in which two model files differ: enc, dec, prior."""
    before, after = read_model(first).tensors, read_model(second).tensors
    return {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
