import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import Variable
from numbanet.ops.batch_norm import BATCH_NORM, BatchNormAttrs
from numbanet.ops.layer_norm import LAYER_NORM, LayerNormAttrs
from numbanet.testing import check_gradients, evaluate, inputs_like

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 4, 5, 6)) * 2 + 1
GAMMA, BETA = RNG.normal(size=6), RNG.normal(size=6)
MEAN, VAR = RNG.normal(size=6), RNG.uniform(0.5, 2.0, 6)


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


def channels_first(x):
    return np.moveaxis(x, -1, 1)


def with_gradients(function):
    """The function's value and its gradients, given the value's as the last argument."""

    def both(*inputs):
        *operands, seed = inputs
        y = function(*operands)
        return y, *differentiate([y], operands[:3], [seed])

    return both


def compare_with_pytorch(ours, peer, *vectors):
    """Value and gradients; the peer takes channels-first images and the two vectors."""
    torch = pytest.importorskip("torch")
    x = torch.tensor(channels_first(IMAGES), requires_grad=True)
    gamma, beta = (torch.tensor(each, requires_grad=True) for each in (GAMMA, BETA))
    expected = peer(torch, x, gamma, beta)
    seed = np.random.default_rng(1).normal(size=IMAGES.shape)
    expected.backward(torch.tensor(channels_first(seed)))
    y, dx, dgamma, dbeta = compute(with_gradients(ours), IMAGES, GAMMA, BETA, *vectors, seed)
    for result, tensor in ((y, expected.detach()), (dx, x.grad)):
        np.testing.assert_allclose(channels_first(result), tensor.numpy(), atol=1e-12)
    np.testing.assert_allclose(dgamma, gamma.grad.numpy())
    np.testing.assert_allclose(dbeta, beta.grad.numpy())


def test_batch_norm_and_its_gradients_agree_with_pytorch():
    compare_with_pytorch(
        lambda *args: ops.batch_norm(*args, epsilon=1e-5),
        lambda torch, x, gamma, beta: torch.nn.functional.batch_norm(
            x, None, None, gamma, beta, training=True, eps=1e-5
        ),
        MEAN,
        VAR,
    )


def test_running_values_follow_pytorch_and_keras():
    torch = pytest.importorskip("torch")
    mean, var = torch.tensor(MEAN), torch.tensor(VAR)
    images = torch.tensor(channels_first(IMAGES))
    torch.nn.functional.batch_norm(images, mean, var, training=True, momentum=0.3)

    def running(unbiased):
        attrs = BatchNormAttrs(0.7, 1e-5, unbiased)
        return compute(
            lambda *args: BATCH_NORM(*args, attrs=attrs)[3:], IMAGES, GAMMA, BETA, MEAN, VAR
        )

    new_mean, new_var = running(unbiased=True)
    np.testing.assert_allclose(new_mean, mean.numpy())
    np.testing.assert_allclose(new_var, var.numpy())
    _, biased = running(unbiased=False)
    np.testing.assert_allclose(biased, 0.7 * VAR + 0.3 * IMAGES.var(axis=(0, 1, 2)))


def test_batch_norm_at_inference_uses_the_running_values():
    inputs = inputs_like((IMAGES, GAMMA, BETA, MEAN, VAR))
    node = ops.batch_norm(*inputs, epsilon=0.1).node
    y, _, _, mean, var = BATCH_NORM.inference(node)
    assert (mean, var) == inputs[3:]
    result = evaluate(y, dict(zip(inputs, (IMAGES, GAMMA, BETA, MEAN, VAR), strict=True)))
    np.testing.assert_allclose(result, (IMAGES - MEAN) / np.sqrt(VAR + 0.1) * GAMMA + BETA)


def test_batch_norm_updates_the_variables_that_it_reads():
    mean = ops.variable_value(Variable(np.zeros(6), "mean"))
    x, gamma, beta, var = inputs_like((IMAGES, GAMMA, BETA, VAR))
    node = ops.batch_norm(x, gamma, beta, mean, var).node
    assert BATCH_NORM.updates(node) == ((mean, node.outputs[3]),)


@pytest.mark.parametrize("unbiased", [False, True])
def test_all_outputs_of_batch_norm_have_gradients(unbiased):
    attrs = BatchNormAttrs(0.8, 0.01, unbiased)
    x = RNG.normal(size=(2, 3, 2))
    vectors = [RNG.uniform(0.5, 1.5, 2) for _ in range(4)]
    for i in range(5):
        check_gradients(lambda *args, i=i: BATCH_NORM(*args, attrs=attrs)[i], x, *vectors)
    check_gradients(lambda *args: BATCH_NORM(*args, attrs=attrs), x, *vectors)


def test_gradients_of_batch_norm_have_gradients():
    def gradients(x, gamma, beta, mean, var, seed):
        y = ops.batch_norm(x, gamma, beta, mean, var, epsilon=0.1)
        return differentiate([y], [x, gamma], [seed])

    x, seed = RNG.normal(size=(2, 4, 3))
    vectors = [RNG.uniform(0.5, 1.5, 3) for _ in range(4)]
    check_gradients(gradients, x, *vectors, seed, tolerance=1e-5)


def test_layer_norm_and_its_gradients_agree_with_pytorch():
    compare_with_pytorch(
        lambda *args: ops.layer_norm(*args, epsilon=1e-5),
        lambda torch, x, gamma, beta: torch.nn.functional.layer_norm(
            x.movedim(1, -1), (6,), gamma, beta, eps=1e-5
        ).movedim(-1, 1),
    )


def test_all_outputs_of_layer_norm_have_gradients_and_those_too():
    attrs = LayerNormAttrs(0.1)
    x, seed = RNG.normal(size=(2, 2, 3, 4))
    gamma, beta = RNG.normal(size=(2, 4))

    def gradients(x, gamma, beta, seed):
        y = ops.layer_norm(x, gamma, beta, epsilon=0.1)
        return differentiate([y], [x, gamma], [seed])

    for i in range(3):
        check_gradients(lambda *args, i=i: LAYER_NORM(*args, attrs=attrs)[i], x, gamma, beta)
    check_gradients(gradients, x, gamma, beta, seed, tolerance=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm_and_its_gradients_agree_with_pytorch(groups):
    compare_with_pytorch(
        lambda *args: ops.group_norm(*args, groups, epsilon=1e-5),
        lambda torch, x, gamma, beta: torch.nn.functional.group_norm(
            x, groups, gamma, beta, eps=1e-5
        ),
    )


def test_rms_norm_divides_by_the_root_mean_square():
    y = compute(lambda x, gamma: ops.rms_norm(x, gamma, epsilon=0.1), IMAGES, GAMMA)
    root = np.sqrt(np.square(IMAGES).mean(axis=-1, keepdims=True) + 0.1)
    np.testing.assert_allclose(y, IMAGES / root * GAMMA)
    check_gradients(ops.rms_norm, IMAGES[0, :2, :2], GAMMA)


@pytest.mark.parametrize("decomposed", [False, True])
def test_a_large_mean_does_not_cancel_the_variance(decomposed):
    x = (np.random.default_rng(2).normal(size=(64, 6)) + 1e4).astype(np.float32)
    vectors = [np.ones(6, np.float32)] * 4
    inputs = inputs_like((x, *vectors))
    node = ops.batch_norm(*inputs, epsilon=1e-5).node
    y = BATCH_NORM.decompose(node)[0] if decomposed else node.outputs[0]
    result = evaluate(y, dict(zip(inputs, (x, *vectors), strict=True)))
    double = x.astype(np.float64)
    expected = (double - double.mean(axis=0)) / np.sqrt(double.var(axis=0) + 1e-5) + 1
    np.testing.assert_allclose(result, expected, atol=5e-3)


def test_the_batch_size_may_be_unknown():
    x = ops.input_value("x", (None, 4, 5, 6))
    vectors = [ops.input_value(name, (6,)) for name in "abcd"]
    assert ops.batch_norm(x, *vectors).shape == x.shape
    assert ops.layer_norm(x, *vectors[:2]).shape == x.shape
    assert ops.group_norm(x, *vectors[:2], 3).shape == x.shape
    assert ops.rms_norm(x, vectors[0]).shape == x.shape


def test_operands_that_do_not_meet_are_refused():
    x, vector, short, small, empty = inputs_like(
        (IMAGES, GAMMA, GAMMA[:5], GAMMA.astype(np.float32), IMAGES[:0])
    )
    with pytest.raises(ShapeError, match="running_var"):
        ops.batch_norm(x, vector, vector, vector, short)
    with pytest.raises(ShapeError, match="beta"):
        ops.layer_norm(x, vector, short)
    with pytest.raises(ShapeError, match="features"):
        ops.batch_norm(vector, vector, vector, vector, vector)
    with pytest.raises(ShapeError, match="no samples"):
        ops.batch_norm(empty, vector, vector, vector, vector)
    with pytest.raises(DTypeError, match="rms_norm"):
        ops.rms_norm(x, small)
    with pytest.raises(ArgumentError, match="groups of equal size"):
        ops.group_norm(x, vector, vector, 4)
