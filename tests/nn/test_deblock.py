"""The batched deblocking filter gives what the reference decoder's gives, sample for sample."""

import numpy as np
import pytest
import torch

from bsqav.nn.codec.deblock import deblock, edge_steps
from tests.reference import filters


@pytest.mark.parametrize(("rows", "columns"), [(4, 6), (1, 3), (5, 1)])
@pytest.mark.parametrize("contrast", [3, 12, 60])
def test_equals_the_reference(rows: int, columns: int, contrast: int) -> None:
    rng = np.random.default_rng(rows + contrast)
    shapes = [(8 * rows, 8 * columns), *[(4 * rows, 4 * columns)] * 2]
    batch = [
        [np.clip(128 + contrast * rng.standard_normal(s), 0, 255).astype(np.int64) for s in shapes]
        for _ in range(2)
    ]
    # Flat tokens with jumps at their edges, where the strong filter works.
    batch[1] = [
        np.kron(
            rng.integers(100, 100 + contrast, (rows, columns)),
            np.ones((p.shape[0] // rows, p.shape[1] // columns), np.int64),
        )
        for p in batch[1]
    ]
    q = rng.integers(100, 569, (2, rows, columns))
    coded = rng.random((2, rows, columns)) < 0.6
    planes = tuple(torch.from_numpy(np.stack(p)).float() for p in zip(*batch, strict=True))
    edges = edge_steps(torch.from_numpy(q), torch.from_numpy(coded))
    found = deblock(planes, *edges)
    still = np.zeros((rows, columns, 1, 2), np.int64)
    for i, source in enumerate(batch):
        left, above = filters.edges(q[i], coded[i], still)
        assert np.array_equal(edges[0][i], left) and np.array_equal(edges[1][i], above)
        expected = filters.deblock(source, left, above, 8)
        for plane, other in zip(found, expected, strict=True):
            assert np.array_equal(plane[i].numpy(), other)
