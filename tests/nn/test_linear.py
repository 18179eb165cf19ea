"""Products with weights against PyTorch's."""

import numpy as np
import pytest

import numbanet.nn as our_nn
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.initializers import set_seed
from numbanet.nn import functional as ours
from numbanet.tensors.tensor import Tensor
from tests.nn.graphs import compare_graphs
from tests.nn.modules import alike, both, computes_alike, records_alike
from tests.nn.parity import compare

torch = pytest.importorskip("torch")
theirs = torch.nn.functional

CASES = [
    ("F.linear", [(3, 4), (2, 4), (2,)]),
    ("F.linear", [(3, 4), (2, 4), None]),
    ("F.linear", [(4,), (2, 4), (2,)]),
    ("F.linear", [(2, 3, 4), (1, 4), (1,)]),
    ("F.linear", [(2, 1, 3, 4), (5, 4), None]),
    ("F.linear", [(3, 4), (4,), None]),
    ("F.linear", [(1, 1), (1, 1), (1,)]),
    ("F.bilinear", [(3, 4), (3, 2), (5, 4, 2), (5,)]),
    ("F.bilinear", [(3, 4), (3, 2), (5, 4, 2), None]),
    ("F.bilinear", [(2, 3, 4), (2, 3, 1), (1, 4, 1), (1,)]),
    ("F.bilinear", [(4,), (2,), (5, 4, 2), (5,)]),
]


@pytest.mark.parametrize(("name", "shapes"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes(name, shapes, dtype):
    rng = np.random.default_rng(0)
    arrays = [None if shape is None else np.asarray(rng.normal(size=shape)) for shape in shapes]
    compare_graphs(getattr(ours, name[2:]), getattr(theirs, name[2:]), arrays, dtype)


MODULES = [
    ("nn.Linear", (4, 2), {}, ((3, 4),)),
    ("nn.Linear", (4, 1), {"bias": False}, ((2, 3, 4),)),
    ("nn.Linear", (1, 5), {}, ((1,),)),
    ("nn.Bilinear", (4, 3, 2), {}, ((5, 4), (5, 3))),
    ("nn.Bilinear", (1, 3, 2), {"bias": False}, ((2, 5, 1), (2, 5, 3))),
    ("nn.Identity", (), {}, ((3, 4),)),
]


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_modules_are_alike(case):
    alike(case)


@pytest.mark.parametrize("case", MODULES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_modules_compute_alike(case, dtype):
    computes_alike(case, dtype)


def test_identity_takes_any_arguments():
    mine, peer = both("Identity", (54, 0.1), {"unused": 1})
    assert repr(mine) == repr(peer)


@pytest.mark.parametrize("name", ["Linear", "Bilinear"])
def test_first_numbers_are_spread_as_pytorchs(name):
    args = (25, 40, 30) if name == "Bilinear" else (25, 4000)
    set_seed(0)
    mine, _ = both(name, args)
    for parameter in mine.parameters():
        numbers = parameter.array()
        assert numbers.dtype == np.float32
        assert 0.15 < numbers.max() <= 0.2
        assert -0.2 <= numbers.min() < -0.15
        assert abs(numbers.std() - 0.2 / np.sqrt(3)) < 0.03


def test_lazy_linear_takes_its_size_from_its_input():
    mine, peer = both("LazyLinear", (3,))
    assert repr(mine) == repr(peer)
    array = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    mine(Tensor.wrap(array))
    peer(torch.tensor(array))
    assert repr(mine) == repr(peer)
    assert type(mine) is our_nn.Linear
    assert abs(mine.weight.array()).max() <= 0.5
    assert mine.weight.array().std() > 0.1
    compare(mine, peer, [array])


def test_lazy_linear_takes_its_size_also_after_loading_a_state():
    mine, peer = our_nn.LazyLinear(3), torch.nn.Linear(4, 3)
    mine.load_state_dict({key: each.numpy() for key, each in peer.state_dict().items()})
    compare(mine, peer, [np.ones((2, 4))])
    assert repr(mine) == repr(peer)


def test_lazy_linear_without_bias_in_double():
    mine = our_nn.LazyLinear(3, bias=False, dtype="float64")
    mine(Tensor.wrap(np.ones((2, 4))))
    assert mine.bias is None
    assert mine.weight.array().dtype == np.float64


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: our_nn.Linear(3, 4, dtype="int64"), DTypeError),
        (lambda: our_nn.Linear(3, 4, device="elsewhere"), NotImplementedError),
        (lambda: our_nn.Linear(3, -4), ArgumentError),
        (lambda: our_nn.Linear(3, 4)(Tensor.wrap(np.ones((2, 4), np.float32))), ShapeError),
        (lambda: our_nn.Linear(3, 4)(Tensor.wrap(np.ones((2, 3)))), DTypeError),
    ],
)
def test_bad_arguments(make, kind):
    with pytest.raises(kind):
        make()


@pytest.mark.parametrize("case", [c for c in MODULES if c[3] != ((1,),)], ids=str)
def test_modules_are_layers_of_a_model(case):
    records_alike(case)
