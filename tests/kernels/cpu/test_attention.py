"""Attention and its gradient on CPUs, beside their references in float64."""

import numpy as np
import pytest

from numbanet.ir import DType
from numbanet.kernels.cpu.attention_block import Block
from numbanet.ops.attention import ATTENTION
from numbanet.ops.attention_grad import ATTENTION_GRAD
from numbanet.ops.attention_scores import AttentionAttrs, Read
from numbanet.ops.fused import Access
from tests.kernels.cpu.lowered import check, leaves

RNG = np.random.default_rng(0)
SIZES = [
    # samples, queries, keys, heads, width, width of values
    (2, 5, 7, 3, 4, 4),
    (1, 1, 1, 1, 4, 4),
    (2, 0, 3, 2, 4, 4),
    (0, 3, 3, 2, 4, 4),
    (2, 70, 131, 2, 37, 20),
    (1, 65, 260, 1, 37, 20),
    (1, 3, 300, 2, 37, 20),
]


def operands(sizes, dtype=np.float32):
    n, length, keys, heads, width, wide = sizes
    shapes = (n, length, heads, width), (n, keys, heads, width), (n, keys, heads, wide)
    return [RNG.normal(size=shape).astype(dtype) for shape in shapes]


def both(attrs, arrays, rtol=None):
    """Attention, then its gradient from what its reference says of the rows."""
    q, k, v, *mask = arrays
    check(ATTENTION.node(*leaves(arrays), attrs=attrs), arrays, rtol)
    out, lse = ATTENTION.reference(attrs, *arrays)
    g = RNG.normal(size=out.shape).astype(out.dtype)
    delta = (g * out).sum(-1)
    given = [q, k, v, lse, delta, g, *mask]
    check(ATTENTION_GRAD.node(*leaves(given), attrs=attrs), given, rtol)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("is_causal", [False, True])
def test_sizes(sizes, is_causal):
    both(AttentionAttrs(0.3, is_causal), operands(sizes))


def test_doubles():
    both(AttentionAttrs(0.3), operands((1, 33, 130, 2, 5, 9), np.float64))


@pytest.mark.parametrize("shape", [(2, 3, 66, 130), (1, 66, 130), (2, 1, 1, 130), (66, 1), ()])
@pytest.mark.parametrize("kind", [bool, np.float32])
def test_masks(shape, kind):
    sizes = (2, 66, 130, 3, 4, 4)
    mask = RNG.random(shape) < 0.7 if kind is bool else RNG.normal(size=shape).astype(kind)
    both(AttentionAttrs(0.3), [*operands(sizes), np.asarray(mask)])


def test_queries_without_keys():
    mask = np.ones((6, 130), bool)
    mask[1] = False
    mask[2, :129] = False
    added = np.where(mask, np.float32(0), np.float32(-np.inf))
    for each in (mask, added):
        both(AttentionAttrs(0.3), [*operands((1, 6, 130, 2, 4, 4)), each])


def test_large_scores_come_late():
    q, k, v = operands((1, 3, 300, 1, 4, 4))
    k[:, 200:] *= 100
    both(AttentionAttrs(1.0), [q, k, v], 1e-4)


def test_reads_parts_of_something_larger():
    n, length, heads, width = 2, 67, 2, 4
    qkv = RNG.normal(size=(n, length, 3, heads, width)).astype(np.float32)
    row = 3 * heads * width
    strides = (length * row, row, width, 1)
    reads = tuple(
        Read((n, length, heads, width), Access(i * heads * width, strides)) for i in range(3)
    )
    attrs = AttentionAttrs(0.25, reads=reads)
    x, *_ = leaves([qkv])
    check(ATTENTION.node(x, x, x, attrs=attrs), [qkv] * 3)


def test_blocks_fill_vectors():
    block = Block(DType.FLOAT32, 4, 4, False, None)
    assert block.queries % block.lanes == 0
