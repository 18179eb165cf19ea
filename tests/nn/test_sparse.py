"""Look-up by index, and one-hot codes, against PyTorch's."""

import numpy as np
import pytest

from numbanet import nn, ops
from numbanet.errors import ArgumentError, DataError, DTypeError, ShapeError
from numbanet.ir import DType
from numbanet.nn import functional as ours
from numbanet.tensors.tensor import Tensor
from numbanet.testing import evaluate
from tests.nn.graphs import compare_graphs
from tests.nn.modules import alike, both
from tests.nn.parity import compare

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


MODULES = [
    ("nn.Embedding", (7, 3), {}),
    ("nn.Embedding", (7, 3, 2), {}),
    ("nn.Embedding", (7, 3), {"padding_idx": -1}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), MODULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_modules(name, args, kwargs, dtype):
    alike((name, args, kwargs, ()))
    mine, peer = both(name, args, kwargs)
    mine.to(dtype)
    compare(mine, peer, [np.array([[2, 6, 2], [0, 6, 5]])], dtype)


def test_first_numbers_are_normal_and_padding_is_zero():
    mine = nn.Embedding(500, 40, padding_idx=3)
    numbers = mine.weight.array()
    assert not numbers[3].any()
    np.testing.assert_allclose([numbers.mean(), numbers.std()], [0, 1], atol=0.02)


def test_from_pretrained():
    table = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    mine = nn.Embedding.from_pretrained(Tensor.wrap(table.copy()), padding_idx=1)
    peer = torch.nn.Embedding.from_pretrained(torch.tensor(table), padding_idx=1)
    assert repr(mine) == repr(peer)
    assert not mine.weight.requires_grad
    np.testing.assert_array_equal(mine(Tensor.wrap(np.array([1, 4]))).array(), table[[1, 4]])
    assert nn.Embedding.from_pretrained(Tensor.wrap(table), freeze=False).weight.requires_grad


@pytest.mark.parametrize("ids", [[0, 7], [-1, 3]])
def test_numbers_that_name_no_row_or_class_are_refused(ids):
    given = Tensor.wrap(np.array(ids))
    with pytest.raises(DataError, match="out of range"):
        nn.Embedding(7, 3)(given)
    with pytest.raises(DataError, match="out of range"):
        ours.one_hot(given, 7)


def test_one_hot_counts_the_classes():
    ids = np.array([[0, 2], [4, 1]])
    codes = ours.one_hot(Tensor.wrap(ids)).array()
    np.testing.assert_array_equal(codes, theirs.one_hot(torch.tensor(ids)).numpy())
    with pytest.raises(ArgumentError):
        ours.one_hot(Tensor.wrap(np.zeros(0, np.int64)))


BAG_IDS = np.array([2, 6, 2, 0, 5])
OFFSETS = np.array([0, 3, 3])
BAGS = [
    # name, module's arguments, ids, arguments of the call
    ("nn.EmbeddingBag", {"mode": "sum"}, BAG_IDS, (OFFSETS,)),
    ("nn.EmbeddingBag", {"padding_idx": 2}, BAG_IDS, (OFFSETS,)),
    ("nn.EmbeddingBag", {"mode": "max"}, BAG_IDS, (OFFSETS,)),
    (
        "nn.EmbeddingBag",
        {"mode": "max", "padding_idx": -1, "include_last_offset": True},
        BAG_IDS,
        (np.array([0, 1, 2, 5]),),
    ),
    ("nn.EmbeddingBag", {"mode": "max", "padding_idx": 6}, BAG_IDS.reshape(1, 5), ()),
    ("nn.EmbeddingBag", {}, np.array([[1, 1], [2, 3]]), ()),
    ("nn.EmbeddingBag", {"padding_idx": 0}, np.array([[1, 0], [0, 0]]), ()),
    (
        "nn.EmbeddingBag",
        {"mode": "sum"},
        BAG_IDS,
        (OFFSETS, np.array([0.5, -1.0, 2.0, 0.0, 1.5])),
    ),
]


@pytest.mark.parametrize(("name", "kwargs", "ids", "others"), BAGS)
def test_bags(name, kwargs, ids, others):
    alike((name, (7, 3), kwargs, ()))
    compare(*both(name, (7, 3), kwargs), [ids, *others], fixed=(0, 1))


FUNCTION_BAGS = [
    ("F.embedding_bag", {"mode": "sum", "padding_idx": 2}),
    ("F.embedding_bag", {}),
]


@pytest.mark.parametrize(("name", "arguments"), FUNCTION_BAGS)
def test_functions_of_bags(name, arguments):
    table = np.random.default_rng(0).normal(size=(7, 3))
    mine, peer = (getattr(library, name[2:]) for library in (ours, theirs))
    compare(
        lambda i, w, o: mine(i, w, o, **arguments),
        lambda i, w, o: peer(i, w, o, **arguments),
        [BAG_IDS, table, OFFSETS],
    )


def test_bags_of_a_given_table():
    table = np.random.default_rng(0).normal(size=(5, 2))
    mine = nn.EmbeddingBag.from_pretrained(Tensor.wrap(table), mode="sum")
    peer = torch.nn.EmbeddingBag.from_pretrained(torch.tensor(table), mode="sum")
    assert repr(mine) == repr(peer)
    assert not mine.weight.requires_grad
    compare(mine, peer, [np.array([[1, 4]])], "float64")


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (([1, 2], [1]), DataError, "offsets"),
        (([1, 2], [0, 3]), DataError, "offsets"),
        (([1, 2], [0, 2, 1]), DataError, "offsets"),
        (([1, 2], None), ArgumentError, "offsets"),
        (([[1, 2]], [0]), ArgumentError, "offsets"),
        (([[7]], None), DataError, "looks up"),
        (([[1]], None, [[1.0]]), ArgumentError, "per_sample_weights"),
    ],
)
def test_bags_that_are_none(arguments, kind, text):
    given = (None if each is None else Tensor.wrap(np.array(each)) for each in arguments)
    with pytest.raises(kind, match=text):
        nn.EmbeddingBag(7, 3)(*given)
