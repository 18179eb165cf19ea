import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, GraphError, ShapeError
from numbanet.testing import check_gradients, evaluate, inputs_like

GEOMETRIES = [
    (2, {}),
    ((3, 2), {"stride": (2, 1)}),
    (3, {"stride": 2, "padding": 1}),
    ((2, 4), {"stride": 1, "padding": (1, 2)}),
]
DILATED = [
    ((3, 2), {"stride": 2, "dilation": (2, 3)}),
    (2, {"stride": 1, "dilation": 3, "padding": 1}),
]


def forward_and_gradient(function):
    def both(x, seed):
        y = function(x)
        return y, *differentiate([y], [x], [seed])

    return both


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


def compare_with_pytorch(ours, peer, x):
    torch = pytest.importorskip("torch")
    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    expected = peer(torch.nn.functional, images)
    seed = np.random.default_rng(1).normal(size=expected.shape)
    expected.backward(torch.tensor(seed))
    y, gradient = compute(forward_and_gradient(ours), x, seed.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(y, expected.detach().numpy().transpose(0, 2, 3, 1))
    np.testing.assert_allclose(gradient, images.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-12)


@pytest.mark.parametrize(("window", "geometry"), [*GEOMETRIES, *DILATED])
def test_max_pooling_agrees_with_pytorch_where_maxima_tie(window, geometry):
    # Few different numbers: most windows have several maxima.
    x = np.random.default_rng(0).integers(-2, 1, (2, 7, 9, 3)).astype(float)
    compare_with_pytorch(
        lambda x: ops.max_pool2d(x, window, **geometry),
        lambda peer, images: peer.max_pool2d(images, window, **geometry),
        x,
    )


@pytest.mark.parametrize(("window", "geometry"), GEOMETRIES)
@pytest.mark.parametrize("counts", [False, True])
def test_average_pooling_agrees_with_pytorch(window, geometry, counts):
    x = np.random.default_rng(0).normal(size=(2, 7, 9, 3))
    compare_with_pytorch(
        lambda x: ops.avg_pool2d(x, window, count_include_pad=counts, **geometry),
        lambda peer, images: peer.avg_pool2d(
            images, window, count_include_pad=counts, **geometry
        ),
        x,
    )


def test_padding_is_never_the_maximum():
    y = compute(lambda x: ops.max_pool2d(x, 3, stride=1, padding=1), -np.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(y, -np.ones((1, 2, 2, 1)))


def test_same_padding_averages_the_pixels_that_are_there():
    x = np.arange(5.0).reshape(1, 1, 5, 1)
    y = compute(lambda x: ops.avg_pool2d(x, (1, 2), padding="same"), x)
    np.testing.assert_array_equal(y.reshape(-1), [0.5, 2.5, 4.0])


def test_the_gradient_of_average_pooling_has_a_gradient():
    def gradient(x, seed):
        y = ops.avg_pool2d(x, 2, stride=1, padding=1)
        return differentiate([y], [x], [seed])

    check_gradients(gradient, np.ones((1, 3, 3, 1)), np.ones((1, 4, 4, 1)))


def test_the_gradient_of_max_pooling_has_none_and_says_so():
    x, seed = inputs_like((np.ones((1, 4, 4, 1)), np.ones((1, 2, 2, 1))))
    (gradient,) = differentiate([ops.max_pool2d(x, 2)], [x], [seed])
    with pytest.raises(GraphError, match="max_pool2d_grad"):
        differentiate([gradient], [seed])


def test_the_batch_size_may_be_unknown():
    x = ops.input_value("x", (None, 7, 5, 3))
    assert ops.max_pool2d(x, 2).shape == (None, 3, 2, 3)
    assert ops.avg_pool2d(x, 2, padding="same").shape == (None, 4, 3, 3)


def test_windows_of_nothing_but_padding_are_refused():
    (x,) = inputs_like((np.zeros((1, 4, 4, 1)),))
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        with pytest.raises(ShapeError, match="nothing but padding"):
            pool(x, 2, padding=2)


def test_bad_arguments():
    (x,) = inputs_like((np.zeros((1, 4, 4, 1)),))
    with pytest.raises(ShapeError, match="cannot fit"):
        ops.max_pool2d(x, 5)
    with pytest.raises(ArgumentError, match="window"):
        ops.max_pool2d(x, 0)
    with pytest.raises(ShapeError, match="N, H, W, C"):
        ops.avg_pool2d(inputs_like((np.zeros((4, 4)),))[0], 2)
