"""What torch.library and torch.compile ask of an operator; the package without PyTorch."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bsqav import ops
from tests.support import ROOT

SHAPES = [(3,), (4, 18), (0, 36), (2, 3, 64)]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]

IMPORT_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import of torch raises ImportError now
import bsqav
try:
    bsqav.ops
except bsqav.MissingDependencyError as error:
    assert "pip install 'bsqav[train]'" in str(error), error
else:
    raise AssertionError("no error")
"""


def latents(shape: tuple[int, ...], dtype: torch.dtype, requires_grad: bool = False) -> Tensor:
    z = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).to(dtype)
    return z.requires_grad_(requires_grad)


@pytest.mark.parametrize(
    ("shape", "dtype", "requires_grad"),
    [
        *(((4, 18), dtype, True) for dtype in FLOATS),
        *((shape, torch.float32, True) for shape in SHAPES if shape != (4, 18)),
        ((2, 3, 64), torch.float32, False),
        ((4, 18), torch.float16, False),
    ],
)
def test_opcheck_of_vectors(
    shape: tuple[int, ...], dtype: torch.dtype, requires_grad: bool
) -> None:
    z = latents(shape, dtype, requires_grad)
    torch.library.opcheck(torch.ops.bsqav.quantize, (z,))
    torch.library.opcheck(torch.ops.bsqav.pack_bits, (z,))
    if z.numel():
        torch.library.opcheck(torch.ops.bsqav.bit_entropy, (z, 2.0, 3 if shape[-1] % 3 == 0 else 4))
        torch.library.opcheck(torch.ops.bsqav.bit_entropy, (z,))


@pytest.mark.parametrize("shape", SHAPES)
def test_opcheck_of_codes(shape: tuple[int, ...]) -> None:
    codes = ops.pack_bits(latents(shape, torch.float32))
    for dtype in FLOATS:
        torch.library.opcheck(torch.ops.bsqav.unpack_bits, (codes, shape[-1], dtype))
    torch.library.opcheck(torch.ops.bsqav.pack_bits, (latents(shape, torch.float32) >= 0,))


def test_opcheck_of_strided_vectors() -> None:
    z = latents((6, 5, 8), torch.float64).permute(2, 1, 0).requires_grad_()
    torch.library.opcheck(torch.ops.bsqav.quantize, (z,))
    torch.library.opcheck(torch.ops.bsqav.pack_bits, (z,))
    torch.library.opcheck(torch.ops.bsqav.bit_entropy, (z, 2.0, 3))


def everything(z: Tensor) -> tuple[Tensor, ...]:
    """All operators at once: û, codes, û again, and a loss that reaches z by three ways."""
    u = ops.quantize(z)
    codes = ops.pack_bits(u)
    terms = ops.entropy_terms(z, 4.0, group_size=3)
    weights = torch.arange(u.shape[-1], dtype=u.dtype)
    loss = (u * weights).sum() + ops.project(z)[..., 0].sum() + terms.sample.mean() - terms.batch
    return u, codes, ops.unpack_bits(codes, z.shape[-1], dtype=z.dtype), loss


def results(function: Callable[[Tensor], Any], z: Tensor) -> tuple[Tensor, ...]:
    """What `function` gives, and the gradient of its last result."""
    z = z.clone().requires_grad_()
    outputs = function(z)
    (grad,) = torch.autograd.grad(outputs[-1], z)
    return (*(x.detach() for x in outputs), grad)


@pytest.mark.parametrize(
    ("dtype", "dynamic"),
    [(torch.float32, False), (torch.bfloat16, True), (torch.float64, True)],
)
def test_compile_as_one_graph(dtype: torch.dtype, dynamic: bool) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(everything, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for count in (5, 7):
        z = latents((count, 4, 36), dtype)
        for found, expected in zip(results(compiled, z), results(everything, z), strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_compile_by_inductor() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(everything, fullgraph=True)
    z = latents((5, 4, 36), torch.float32)
    found, expected = results(compiled, z), results(everything, z)
    for one, other in zip(found[:3], expected[:3], strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(found[3:], expected[3:])


def test_fake_kernels_check_like_real_ones() -> None:
    for wrong in (torch.ones(3, 65, device="meta"), torch.ones(3, 4, device="meta").long()):
        with pytest.raises(ValueError, match="must be"):
            ops.quantize(wrong)
        with pytest.raises(ValueError, match="must be"):
            ops.pack_bits(wrong)
    assert ops.pack_bits(torch.ones(3, 64, device="meta")).shape == (3,)


@pytest.mark.hardware
def test_a_gpu_gives_the_same() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU is there")
    for shape in ((100, 18), (100, 36), (3, 5, 64)):
        z = latents(shape, torch.float32)
        u, codes = ops.quantize(z.cuda()), ops.pack_bits(z.cuda())
        assert torch.equal(u.cpu(), ops.quantize(z))
        assert torch.equal(codes.cpu(), ops.pack_bits(z))
        assert torch.equal(ops.unpack_bits(codes, shape[-1]), u)
        for found, other in zip(ops.entropy_terms(z.cuda()), ops.entropy_terms(z), strict=True):
            torch.testing.assert_close(found.cpu(), other)


def test_the_example_of_the_page_runs() -> None:
    page = (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["z"].grad.isfinite().all()


def test_without_torch_the_error_names_the_extra(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT_TORCH],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
