"""Activations against PyTorch's: values and slopes, at the kinks and far out, too."""

import numpy as np
import pytest

from numbanet import nn, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import DType
from numbanet.nn import functional as ours
from numbanet.tensors.tensor import Tensor
from numbanet.testing import evaluate, inputs_like
from tests.nn.drawn import at_inference, drawn
from tests.nn.graphs import compare_graphs
from tests.nn.modules import alike, both, computes_alike, records_alike
from tests.nn.parity import compare

torch = pytest.importorskip("torch")
theirs = torch.nn.functional

KINKS = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0]
FAR = [-300.0, -40.0, -21.0, 21.0, 40.0, 300.0]
LINE = np.array([*np.linspace(-8.03, 8.07, 60), *KINKS, *FAR]).reshape(3, 25)
GRID = np.random.default_rng(0).normal(size=(2, 4, 3, 2))

CASES = [
    ("F.relu", {}),
    ("F.relu6", {}),
    ("F.hardtanh", {}),
    ("F.hardtanh", {"min_val": -0.5, "max_val": 3.0}),
    ("F.hardsigmoid", {}),
    ("F.hardswish", {}),
    ("F.leaky_relu", {}),
    ("F.leaky_relu", {"negative_slope": 0.0}),
    ("F.leaky_relu", {"negative_slope": -0.3}),
    ("F.elu", {}),
    ("F.elu", {"alpha": 0.3}),
    ("F.selu", {}),
    ("F.celu", {}),
    ("F.celu", {"alpha": 2.5}),
    ("F.rrelu", {}),
    ("F.rrelu", {"lower": 0.2, "upper": 0.9}),
    ("F.gelu", {}),
    ("F.gelu", {"approximate": "tanh"}),
    ("F.sigmoid", {}),
    ("F.tanh", {}),
    ("F.silu", {}),
    ("F.mish", {}),
    ("F.logsigmoid", {}),
    ("F.softplus", {}),
    ("F.softplus", {"beta": 0.5, "threshold": 3.0}),
    ("F.softsign", {}),
    ("F.tanhshrink", {}),
    ("F.hardshrink", {}),
    ("F.hardshrink", {"lambd": 3.0}),
    ("F.softshrink", {}),
    ("F.softshrink", {"lambd": 0.0}),
    ("F.threshold", {"threshold": 0.5, "value": 7.0}),
    ("F.threshold", {"threshold": -1.0, "value": -1.5}),
    ("F.glu", {"dim": 1}),
    ("F.glu", {"dim": -3}),
    ("F.softmax", {"dim": 1}),
    ("F.softmax", {"dim": -1}),
    ("F.log_softmax", {"dim": 0}),
    ("F.log_softmax", {"dim": -2}),
    ("F.softmin", {"dim": 2}),
]
MODULES = [
    ("nn.ReLU", (), {}, ((3, 4),)),
    ("nn.ReLU6", (), {}, ((3, 4),)),
    ("nn.Hardtanh", (-0.5,), {"max_val": 1.5}, ((3, 4),)),
    ("nn.Hardsigmoid", (), {}, ((3, 4),)),
    ("nn.Hardswish", (), {}, ((3, 4),)),
    ("nn.LeakyReLU", (0.3,), {}, ((3, 4),)),
    ("nn.ELU", (), {"alpha": 0.7}, ((3, 4),)),
    ("nn.CELU", (0.7,), {}, ((3, 4),)),
    ("nn.SELU", (), {}, ((3, 4),)),
    ("nn.PReLU", (), {}, ((3, 4),)),
    ("nn.PReLU", (4,), {"init": 0.1}, ((3, 4),)),
    ("nn.GELU", (), {}, ((3, 4),)),
    ("nn.GELU", ("tanh",), {}, ((3, 4),)),
    ("nn.Sigmoid", (), {}, ((3, 4),)),
    ("nn.Tanh", (), {}, ((3, 4),)),
    ("nn.SiLU", (), {}, ((3, 4),)),
    ("nn.Mish", (), {}, ((3, 4),)),
    ("nn.LogSigmoid", (), {}, ((3, 4),)),
    ("nn.Softplus", (2,), {"threshold": 1}, ((3, 4),)),
    ("nn.Softsign", (), {}, ((3, 4),)),
    ("nn.Tanhshrink", (), {}, ((3, 4),)),
    ("nn.Hardshrink", (0.3,), {}, ((3, 4),)),
    ("nn.Softshrink", (), {}, ((3, 4),)),
    ("nn.Threshold", (0.1, 20), {}, ((3, 4),)),
    ("nn.GLU", (), {}, ((3, 4),)),
    ("nn.Softmax", (1,), {}, ((3, 4),)),
    ("nn.Softmin", (), {"dim": 0}, ((3, 4),)),
    ("nn.LogSoftmax", (), {"dim": -1}, ((3, 4),)),
    ("nn.Softmax2d", (), {}, ((2, 3, 2, 2),)),
]
IN_PLACE = ["ReLU", "ReLU6", "Hardtanh", "Hardsigmoid", "Hardswish", "LeakyReLU", "ELU", "CELU",
            "SELU", "SiLU", "Mish", "RReLU"]  # fmt: skip
ON_GRIDS = ("glu", "softmax", "log_softmax", "softmin")
EXACT = {"hardsigmoid": lambda x: theirs.relu6(x + 3) / 6}
"""In place of PyTorch's own, whose slopes in float64 have the digits of float32."""


@pytest.mark.parametrize(("name", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes(name, arguments, dtype):
    name = name[2:]
    array = GRID if name in ON_GRIDS else LINE
    compare_graphs(
        lambda x: getattr(ours, name)(x, **arguments),
        EXACT.get(name) or (lambda x: getattr(theirs, name)(x, **arguments)),
        [array],
        dtype,
    )


@pytest.mark.parametrize(
    ("shape", "weights"), [((3, 4, 2), 4), ((3, 4), 1), ((5,), 1), ((), 1)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prelu(shape, weights, dtype):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape), rng.normal(size=weights)]
    arrays[0].flat[0] = 0.0
    compare_graphs(ours.prelu, theirs.prelu, arrays, dtype)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 3, 4), (2, 3, 4, 2)])
def test_softmax_without_dim_warns_and_chooses_as_pytorch_does(name, shape):
    array = np.random.default_rng(2).normal(size=shape)

    def warned(function):
        def called(x):
            with pytest.warns(UserWarning, match="dim"):
                return function(x)

        return called

    compare_graphs(
        warned(getattr(ours, name)), warned(getattr(theirs, name)), [array], "float64"
    )


def test_softmax_of_another_dtype():
    x = ops.input_value("x", GRID.shape)
    y = evaluate(ours.softmax(x, 1, dtype="float64"), {x: GRID.astype(np.float32)})
    peer = torch.tensor(GRID, dtype=torch.float32)
    expected = theirs.softmax(peer, 1, dtype=torch.float64).numpy()
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("relu", [-2, 0, 3]),
        ("softshrink", [np.nan, 0.1]),
        ("hardshrink", [np.nan, 0.1]),
        ("threshold", [np.nan, 0.1]),
    ],
)
def test_integers_and_nans(name, array):
    arguments = (0.5, 7.0) if name == "threshold" else ()
    (x,) = inputs_like([np.array(array)])
    y = evaluate(getattr(ours, name)(x, *arguments), {x: np.array(array)})
    expected = getattr(theirs, name)(torch.tensor(np.array(array)), *arguments).numpy()
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)


def test_randomised_slopes_are_spread_over_their_range():
    x = np.linspace(-3.0, 3.0, 4000)
    y, slopes = drawn(lambda x: ours.rrelu(x, 0.2, 0.6, training=True), x)
    np.testing.assert_array_equal(y[x > 0], x[x > 0])
    np.testing.assert_allclose(y, x * slopes)
    found = slopes[x < 0]
    assert found.min() >= 0.2
    assert found.max() < 0.6
    np.testing.assert_allclose(
        [found.mean(), found.var(), np.median(found)], [0.4, 0.16 / 12, 0.4], atol=0.01
    )
    mean = at_inference(lambda x: ours.rrelu(x, 0.2, 0.6, training=True), x)
    np.testing.assert_allclose(mean, ours_at(x, 0.4))


def ours_at(x, slope):
    return np.where(x > 0, x, x * slope)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gumbel_softmax(dim):
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    shape = np.ones(3, int)
    shape[dim] = 4
    logits = np.log(probabilities).reshape(shape) + np.zeros(
        [4 if n == 4 else 70 for n in shape]
    )
    relaxed, _ = drawn(lambda x: ours.gumbel_softmax(x, 0.7, dim=dim), logits)
    np.testing.assert_allclose(relaxed.sum(dim), 1.0)
    hard, slopes = drawn(
        lambda x: (
            ours.gumbel_softmax(x, 0.7, hard=True, dim=dim) * np.arange(4.0).reshape(shape)
        ),
        logits,
    )
    codes, _ = drawn(lambda x: ours.gumbel_softmax(x, 0.7, hard=True, dim=dim), logits)
    np.testing.assert_allclose(codes, relaxed == relaxed.max(dim, keepdims=True), atol=1e-12)
    others = tuple(axis for axis in range(3) if axis != dim % 3)
    np.testing.assert_allclose(codes.mean(others), probabilities, atol=0.03)
    soft_slopes = drawn(
        lambda x: ours.gumbel_softmax(x, 0.7, dim=dim) * np.arange(4.0).reshape(shape), logits
    )[1]
    np.testing.assert_allclose(slopes, soft_slopes)
    assert hard.shape == logits.shape


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda x: ours.glu(x, 1), ShapeError),
        (lambda x: ours.gelu(x, "none of them"), ArgumentError),
        (lambda x: ours.softshrink(x, -1.0), ArgumentError),
        (lambda x: ours.celu(x, 0.0), ArgumentError),
        (lambda x: ours.rrelu(x, 0.5, 0.2), ArgumentError),
        (lambda x: ours.hardtanh(x, 1.0, -1.0), ArgumentError),
        (lambda x: ours.prelu(x, ops.input_value("w", (2,), x.dtype)), ShapeError),
    ],
)
def test_bad_arguments(call, kind):
    with pytest.raises(kind):
        call(ops.input_value("x", (2, 3), DType.FLOAT64))


@pytest.mark.parametrize("case", [*MODULES, ("nn.RReLU", (0.2,), {}, ())], ids=str)
def test_modules_are_alike(case):
    alike(case)


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_modules_compute_alike(case):
    computes_alike(case, "float32")


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_the_input_takes_the_result(name):
    mine, peer = both(name, (), {"inplace": True})
    assert repr(mine) == repr(peer)
    mine.eval(), peer.eval()
    array = np.linspace(-4, 4, 8).astype(np.float32)
    x, y = Tensor.wrap(array.copy()), torch.tensor(array)
    assert mine(x) is x
    peer(y)
    np.testing.assert_allclose(x.array(), y.numpy(), atol=1e-6)


SHORT = [("relu_", ()), ("leaky_relu_", (0.2,)), ("elu_", (0.5,)), ("celu_", (2.0,)),
         ("selu_", ()), ("hardtanh_", (-0.5, 0.5)), ("threshold_", (0.1, 20.0)),
         ("rrelu_", (0.2, 0.2))]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), SHORT)
def test_functions_in_place(name, arguments):
    array = np.linspace(-4, 4, 8).astype(np.float32)
    x, y = Tensor.wrap(array.copy()), torch.tensor(array)
    assert getattr(ours, name)(x, *arguments) is x
    getattr(theirs, name)(y, *arguments)
    np.testing.assert_allclose(x.array(), y.numpy(), atol=1e-6)


def test_gradients_pass_what_happened_in_place():
    def through(functions):
        def called(x):
            hidden = functions.logsigmoid(x)
            assert functions.leaky_relu_(hidden, 0.3) is hidden
            return functions.silu(hidden)

        return called

    compare(through(ours), through(theirs), [np.linspace(-4, 4, 8)])


def test_in_place_in_a_model_later_readers_see_the_result():
    class Twice(nn.Module):
        def forward(self, x):
            hidden = ours.tanh(x)
            ours.relu(hidden, inplace=True)
            return ours.silu(hidden)

    x = ops.input_value("x", (None, 3))
    array = np.array([[-1.0, 0.5, 2.0]], np.float32)
    expected = theirs.silu(torch.tanh(torch.tensor(array)).relu()).numpy()
    np.testing.assert_allclose(evaluate(Twice()(x), {x: array}), expected, rtol=1e-6)
    with pytest.raises(NotImplementedError, match="inplace"):
        ours.relu(x, inplace=True)


def test_randomised_slopes_of_a_module():
    module, peer = both("RReLU", (0.2, 0.6))
    x = Tensor.wrap(np.full((40, 50), -1.0, np.float32))
    first, second = module(x).array(), module(x).array()
    assert (first != second).any()
    assert -0.6 < first.min() < first.max() <= -0.2
    np.testing.assert_allclose(
        module.eval()(x).array(), peer.eval()(torch.tensor(x.array())).numpy(), rtol=1e-6
    )


@pytest.mark.parametrize("case", [c for c in MODULES if c[2] != {"dim": 0}], ids=str)
def test_modules_are_layers_of_a_model(case):
    records_alike(case)
