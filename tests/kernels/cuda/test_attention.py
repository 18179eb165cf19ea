"""Attention and its gradient on the simulator, beside their references."""

import numpy as np
import pytest

from numbanet.ops.attention import ATTENTION
from numbanet.ops.attention_grad import ATTENTION_GRAD
from numbanet.ops.attention_scores import AttentionAttrs, Read
from numbanet.ops.fused import Access
from tests.kernels.cuda.lowered import calls_of, check_node, node_of

pytestmark = pytest.mark.simulator
RNG = np.random.default_rng(0)
SIZES = [
    # samples, queries, keys, heads, width, width of values
    (1, 3, 5, 2, 3, 2),
    (1, 1, 1, 1, 1, 1),
    (1, 10, 17, 1, 5, 9),
    (1, 17, 9, 1, 8, 4),
]


def operands(sizes, dtype=np.float32):
    n, length, keys, heads, width, wide = sizes
    shapes = (n, length, heads, width), (n, keys, heads, width), (n, keys, heads, wide)
    return [RNG.normal(size=shape).astype(dtype) for shape in shapes]


def both(attrs, arrays, tolerance=None):
    """Attention, then its gradient from what its reference says of the rows."""
    check_node(ATTENTION, attrs, arrays, tolerance=tolerance)
    q, k, v, *mask = arrays
    out, lse = ATTENTION.reference(attrs, *arrays)
    g = RNG.normal(size=out.shape).astype(out.dtype)
    given = [q, k, v, lse, (g * out).sum(-1), g, *mask]
    check_node(ATTENTION_GRAD, attrs, given, tolerance=tolerance)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("is_causal", [False, True])
def test_sizes(sizes, is_causal):
    both(AttentionAttrs(0.3, is_causal), operands(sizes))


def test_doubles():
    both(AttentionAttrs(0.3), operands((1, 5, 9, 1, 3, 4), np.float64))


@pytest.mark.parametrize("shape", [(2, 2, 3, 9), (2, 1, 1, 9), ()])
@pytest.mark.parametrize("kind", [bool, np.float32])
def test_masks(shape, kind):
    mask = RNG.random(shape) < 0.7 if kind is bool else RNG.normal(size=shape).astype(kind)
    both(AttentionAttrs(0.3), [*operands((2, 3, 9, 2, 4, 4)), np.asarray(mask)])


def test_queries_without_keys():
    mask = np.ones((4, 10), bool)
    mask[1] = False
    mask[2, :9] = False
    both(AttentionAttrs(0.3), [*operands((1, 4, 10, 1, 4, 4)), mask])


def test_large_scores_come_late():
    q, k, v = operands((1, 3, 20, 1, 4, 4))
    k[:, 12:] *= 100
    both(AttentionAttrs(1.0), [q, k, v], 1e-4)


def test_reads_parts_of_something_larger():
    n, length, heads, width = 1, 9, 2, 4
    qkv = RNG.normal(size=(n, length, 3, heads, width)).astype(np.float32)
    row = 3 * heads * width
    strides = (length * row, row, width, 1)
    reads = tuple(
        Read((n, length, heads, width), Access(i * heads * width, strides)) for i in range(3)
    )
    check_node(ATTENTION, AttentionAttrs(0.25, reads=reads), [qkv] * 3)


def test_one_launch_forward_and_one_for_each_gradient():
    arrays = operands((1, 3, 5, 2, 3, 2))
    attrs = AttentionAttrs(0.3)
    assert len(calls_of(node_of(ATTENTION, attrs, arrays))) == 1
    rows = np.zeros((1, 3, 2), np.float32)
    given = [*arrays, rows, rows, np.zeros((1, 3, 2, 2), np.float32)]
    assert len(calls_of(node_of(ATTENTION_GRAD, attrs, given))) == 3
    empty = [np.zeros((0, 3, 2, 3), np.float32)] * 3
    assert calls_of(node_of(ATTENTION, attrs, empty)) == ()
