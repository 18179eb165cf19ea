"""Look-up by index, and one-hot codes, against PyTorch's."""

import numpy as np
import pytest

import numbanet.nn.functional.sparse as ours
from numbanet import ops
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType
from numbanet.testing import evaluate
from tests.nn.graphs import compare_graphs

torch = pytest.importorskip("torch")
theirs = torch.nn.functional

CASES = [
    ("F.embedding", (7, 3), (4,), {}),
    ("F.embedding", (7, 3), (2, 5), {"padding_idx": 2}),
    ("F.embedding", (7, 3), (2, 5), {"padding_idx": -7}),
    ("F.embedding", (1, 1), (1,), {"padding_idx": 0}),
    ("F.embedding", (7, 3), (), {}),
    ("F.one_hot", None, (2, 5), {"num_classes": 7}),
    ("F.one_hot", None, (), {"num_classes": 9}),
]


@pytest.mark.parametrize(("name", "table", "shape", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes(name, table, shape, arguments, dtype):
    rng = np.random.default_rng(0)
    ids = np.asarray(rng.integers(0, (table or (7,))[0], shape))
    if table is None:
        x = ops.input_value("x", shape, DType.INT64)
        codes = evaluate(ours.one_hot(x, **arguments), {x: ids})
        expected = theirs.one_hot(torch.tensor(ids), **arguments).numpy()
        assert codes.dtype == expected.dtype
        np.testing.assert_array_equal(codes, expected)
        return
    compare_graphs(
        lambda x, w: ours.embedding(x, w, **arguments),
        lambda x, w: theirs.embedding(x, w, **arguments),
        [ids, rng.normal(size=table)],
        dtype,
    )


IDS, TABLE = ops.input_value("ids", (4,), DType.INT64), ops.input_value("w", (7, 3))


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: ours.embedding(IDS, TABLE, max_norm=1.0), NotImplementedError),
        (lambda: ours.embedding(IDS, TABLE, scale_grad_by_freq=True), NotImplementedError),
        (lambda: ours.embedding(IDS, TABLE, sparse=True), NotImplementedError),
        (lambda: ours.embedding(IDS, TABLE, padding_idx=7), ArgumentError),
        (lambda: ours.embedding(TABLE, TABLE), DTypeError),
        (lambda: ours.embedding(IDS, ops.input_value("w", (7,))), ShapeError),
        (lambda: ours.one_hot(IDS, 0), ArgumentError),
        (lambda: ours.one_hot(IDS), ArgumentError),
        (lambda: ours.one_hot(TABLE, 3), DTypeError),
    ],
)
def test_bad_arguments(call, kind):
    with pytest.raises(kind):
        call()
