"""Activations against PyTorch, values and slopes, and far from zero."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.ir import DType
from numbanet.testing import check_gradients, evaluate

torch = pytest.importorskip("torch")
functional = torch.nn.functional

PAIRS = {
    "relu": (ops.relu, functional.relu),
    "relu6": (ops.relu6, functional.relu6),
    "leaky_relu": (ops.leaky_relu, functional.leaky_relu),
    "steep leaky_relu": (
        lambda x: ops.leaky_relu(x, 1.5),
        lambda x: functional.leaky_relu(x, 1.5),
    ),
    "falling leaky_relu": (
        lambda x: ops.leaky_relu(x, -0.3),
        lambda x: functional.leaky_relu(x, -0.3),
    ),
    "elu": (ops.elu, functional.elu),
    "elu 0.3": (lambda x: ops.elu(x, 0.3), lambda x: functional.elu(x, 0.3)),
    "selu": (ops.selu, functional.selu),
    "gelu": (ops.gelu, functional.gelu),
    "gelu by tanh": (
        lambda x: ops.gelu(x, approximate=True),
        lambda x: functional.gelu(x, approximate="tanh"),
    ),
    "sigmoid": (ops.sigmoid, torch.sigmoid),
    "log_sigmoid": (ops.log_sigmoid, functional.logsigmoid),
    "softplus": (ops.softplus, lambda x: functional.softplus(x, threshold=1e9)),
    "softplus 2": (
        lambda x: ops.softplus(x, 2.0),
        lambda x: functional.softplus(x, 2.0, threshold=1e9),
    ),
    "softsign": (ops.softsign, functional.softsign),
    "silu": (ops.silu, functional.silu),
    "mish": (ops.mish, functional.mish),
    "hard_sigmoid": (ops.hard_sigmoid, functional.hardsigmoid),
    "hard_swish": (ops.hard_swish, functional.hardswish),
    "hard_tanh": (ops.hard_tanh, functional.hardtanh),
    "hard_tanh 2": (
        lambda x: ops.hard_tanh(x, -0.5, 2.0),
        lambda x: functional.hardtanh(x, -0.5, 2.0),
    ),
    "tanh": (ops.tanh, torch.tanh),
}

# Zero and the hinges of the piecewise functions are left out: there, conventions differ.
POINTS = np.concatenate([np.linspace(-8.03, 8.07, 211), [-300.0, -40.0, 40.0, 300.0]])


@pytest.mark.parametrize(("ours", "theirs"), PAIRS.values(), ids=PAIRS)
def test_values_and_slopes_are_pytorchs(ours, theirs):
    x = ops.input_value("x", POINTS.shape, DType.FLOAT64)
    y = ours(x)
    (slope,) = differentiate([y], [x])
    value, gradient = evaluate([y, slope], {x: POINTS})
    tensor = torch.tensor(POINTS, requires_grad=True)
    expected = theirs(tensor)
    expected.sum().backward()
    np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    # PyTorch's sixth, in the slope of hardsigmoid, has float32's precision only.
    np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "relu6", "hard_tanh", "leaky_relu", "elu", "selu"])
def test_slope_at_the_hinge_is_pytorchs(name):
    ours, theirs = PAIRS[name]
    hinges = np.array([0.0, 6.0, -1.0, 1.0])
    x = ops.input_value("x", hinges.shape, DType.FLOAT64)
    (slope,) = differentiate([ours(x)], [x])
    tensor = torch.tensor(hinges, requires_grad=True)
    theirs(tensor).sum().backward()
    np.testing.assert_allclose(evaluate(slope, {x: hinges}), tensor.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(("ours", "_"), PAIRS.values(), ids=PAIRS)
def test_second_derivative(ours, _):
    def slope(x):
        return differentiate([ours(x)], [x])[0]

    check_gradients(slope, np.array([-4.2, -1.7, -0.8, 0.3, 1.6, 2.4, 4.1]), tolerance=1e-5)


@pytest.mark.parametrize(("ours", "_"), PAIRS.values(), ids=PAIRS)
def test_nan_stays_nan(ours, _):
    x = ops.input_value("x", (1,))
    assert np.isnan(evaluate(ours(x), {x: [np.nan]})).all()
