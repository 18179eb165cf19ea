"""Dropout: its mean, the structure of its mask, its slopes, and what it is at inference."""

import warnings

import numpy as np
import pytest

from numbanet import nn, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn import functional as ours
from numbanet.tensors.tensor import Tensor
from tests.nn.drawn import at_inference, drawn
from tests.nn.modules import alike, both
from tests.nn.parity import weighted_sum

torch = pytest.importorskip("torch")

ALPHA = -1.7580993408473766

CASES = [
    ("F.dropout", (40, 50), (40, 50)),
    ("F.dropout1d", (40, 50, 3), (40, 50, 1)),
    ("F.dropout1d", (900, 3), (900, 1)),
    ("F.dropout2d", (40, 50, 3, 2), (40, 50, 1, 1)),
    ("F.dropout2d", (40, 50, 3), (40, 50, 1)),
    ("F.dropout3d", (40, 50, 1, 3, 2), (40, 50, 1, 1, 1)),
    ("F.dropout3d", (900, 1, 3, 2), (900, 1, 1, 1)),
    ("F.alpha_dropout", (40, 50), (40, 50)),
    ("F.feature_alpha_dropout", (40, 50, 3), (40, 50, 1)),
]
"""Names, shapes of inputs, and shapes of the masks."""


def is_alpha(name):
    return "alpha" in name


@pytest.mark.parametrize(("name", "shape", "mask"), CASES)
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_the_mask_and_what_it_does(name, shape, mask, p):
    x = np.random.default_rng(0).normal(size=shape)
    y, slopes = drawn(lambda x: getattr(ours, name[2:])(x, p, training=True), x)
    one = slopes[tuple(slice(0, n) for n in mask)]
    np.testing.assert_array_equal(slopes, np.broadcast_to(one, shape))
    is_kept = slopes > 0
    count = np.prod(mask)
    assert abs(np.mean(one > 0) - (1 - p)) < 4 * np.sqrt(p * (1 - p) / count)
    if is_alpha(name):
        a = 1 / np.sqrt((1 - p) * (1 + p * ALPHA**2))
        expected = a * (np.where(is_kept, x, ALPHA) - ALPHA * p)
    else:
        a = 1 / (1 - p)
        expected = np.where(is_kept, x * a, 0)
    np.testing.assert_allclose(slopes[is_kept], a)
    np.testing.assert_allclose(y, expected, atol=1e-12)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_alpha_dropout_keeps_mean_and_variance(p):
    x = np.random.default_rng(0).normal(size=(300, 300))
    y, _ = drawn(lambda x: ours.alpha_dropout(x, p, training=True), x)
    np.testing.assert_allclose([y.mean(), y.var()], [0, 1], atol=0.03)


@pytest.mark.parametrize(("name", "shape", "mask"), CASES)
@pytest.mark.parametrize(("p", "training"), [(0.0, True), (1.0, True), (0.4, False)])
def test_edges_are_pytorchs(name, shape, mask, p, training):
    x = np.random.default_rng(0).normal(size=shape)
    y, slopes = drawn(lambda x: getattr(ours, name[2:])(x, p, training=training), x)
    peer = torch.tensor(x, requires_grad=True)
    with warnings.catch_warnings():
        # PyTorch warns of inputs without a batch.
        warnings.simplefilter("ignore", UserWarning)
        expected = getattr(torch.nn.functional, name[2:])(peer, p, training=training)
    expected.sum().backward()
    np.testing.assert_allclose(y, expected.detach().numpy())
    np.testing.assert_allclose(slopes, peer.grad.numpy())


@pytest.mark.parametrize(("name", "shape", "mask"), CASES)
def test_at_inference_nothing_is_dropped(name, shape, mask):
    x = np.random.default_rng(0).normal(size=shape)
    y = at_inference(lambda x: getattr(ours, name[2:])(x, 0.4, training=True), x)
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize(("name", "shape", "mask"), CASES)
@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_other_probabilities_are_refused(name, shape, mask, p):
    with pytest.raises(ArgumentError, match="probability"):
        getattr(ours, name[2:])(ops.input_value("x", shape), p)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("dropout1d", (3,)), ("dropout2d", (3, 4)), ("dropout3d", (3, 4, 5)),
     ("feature_alpha_dropout", (3,))],
)  # fmt: skip
def test_inputs_of_other_axes_are_refused(name, shape):
    with pytest.raises(ShapeError):
        getattr(ours, name)(ops.input_value("x", shape))


MODULES = [
    ("nn.Dropout", (), {}, (6, 5)),
    ("nn.Dropout", (0.2,), {"inplace": True}, (6, 5)),
    ("nn.Dropout1d", (), {"p": 0.25}, (6, 5, 3)),
    ("nn.Dropout2d", (), {}, (6, 5, 3, 2)),
    ("nn.Dropout3d", (), {}, (6, 5, 3, 2, 1)),
    ("nn.AlphaDropout", (0.2,), {}, (6, 5)),
    ("nn.FeatureAlphaDropout", (), {}, (6, 5, 3)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), MODULES)
def test_modules(name, args, kwargs, shape):
    alike((name, args, kwargs, ()))
    mine, _ = both(name, args, kwargs)
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def output():
        return mine(Tensor.wrap(array.copy())).array()

    first, second = output(), output()
    assert (first != array).any()
    assert (first != second).any()
    mine.eval()
    np.testing.assert_array_equal(output(), array)


def test_the_backward_pass_has_the_mask_of_the_forward_pass():
    x = Tensor.wrap(np.ones((40, 50), np.float32), requires_grad=True)
    y = nn.Dropout(0.5)(x)
    weighted_sum([y], [Tensor.wrap(np.ones((40, 50), np.float32))]).backward()
    np.testing.assert_array_equal(x.grad.array(), y.array())
    assert 0.4 < np.mean(y.array() == 0) < 0.6


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_modules_refuse_other_probabilities(p):
    with pytest.raises(ArgumentError, match="probability"):
        nn.Dropout(p)
