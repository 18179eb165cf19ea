"""Printed tensors against PyTorch's, character by character."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numbanet.errors import ArgumentError
from numbanet.tensors.printing import OPTIONS, PrintOptions, format_tensor, set_printoptions

torch = pytest.importorskip("torch")

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")


def ours(array, **flags):
    return format_tensor(array, namespace="torch", **flags)


def check(array):
    assert ours(array) == repr(torch.tensor(array))
    if array.dtype.kind == "f":
        leaf = torch.tensor(array, requires_grad=True)
        assert ours(array, requires_grad=True) == repr(leaf)
        result = ours(array, requires_grad=True, grad_fn_name="MulBackward0")
        assert result == repr(leaf * 1)
        parameter = ours(array, requires_grad=True, is_parameter=True)
        assert parameter == repr(torch.nn.Parameter(torch.tensor(array)))


shapes = st.one_of(
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    st.sampled_from([(1001,), (999,), (30, 40), (7, 200), (2, 3, 200), (11, 10, 10), (40,)]),
)


@st.composite
def arrays(draw):
    shape, dtype = draw(shapes), np.dtype(draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        low = 0 if dtype.kind == "u" else -(10 ** draw(st.integers(0, 9)))
        high = 255 if dtype.kind == "u" else 10 ** draw(st.integers(0, 9))
        return rng.integers(low, high, shape, endpoint=True).astype(dtype)
    scale = 10.0 ** draw(st.integers(-6, 9))
    spread = draw(st.sampled_from([0.0, 1.0, 3.0]))
    array = np.asarray(rng.normal(size=shape) * scale * 10 ** (spread * rng.normal(size=shape)))
    if draw(st.booleans()):
        array = np.round(array)
    for special in draw(st.sets(st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf]))):
        array = np.where(rng.random(shape) < draw(st.sampled_from([0.1, 1.0])), special, array)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrays())
def test_prints_as_torch_does(array):
    check(array)


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.0, np.float32),
        np.array(7),
        np.array(True),
        np.zeros((2, 2), np.float32),
        np.zeros((0,), np.float64),
        np.zeros((0, 3), np.int64),
        np.zeros((2, 0), np.float32),
        np.array([1e-5, 1.0], np.float32),
        np.array([0.1, 100.0, 1000.0], np.float32),
        np.array([np.nan, np.inf], np.float32),
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.full((3, 16), -123.456),
    ],
    ids=str,
)
def test_prints_as_torch_does_by_example(array):
    check(array)


OPTION_CASES = [
    {"precision": 2},
    {"precision": 0},
    {"threshold": 5, "edgeitems": 1},
    {"linewidth": 40},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "full", "precision": 3},
]


@pytest.fixture
def _restored():
    yield
    torch.set_printoptions(profile="default")
    vars(OPTIONS).update(vars(PrintOptions()))


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("options", OPTION_CASES, ids=str)
def test_options(options):
    torch.set_printoptions(**options)
    set_printoptions(**options)
    rng = np.random.default_rng(5)
    for shape in ((), (3,), (25,), (4, 7), (2, 3, 11), (1100,)):
        for array in (rng.normal(size=shape), rng.integers(0, 99, shape), np.zeros(shape)):
            check(np.asarray(array, dtype=np.float32))
            check(np.asarray(array))


def test_names_our_dtypes():
    assert format_tensor(np.array([1, 2], np.int32)) == "tensor([1, 2], dtype=numbanet.int32)"


def test_unknown_profile():
    with pytest.raises(ArgumentError, match="profile"):
        set_printoptions(profile="long")
