import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import DataError, DTypeError, ShapeError
from numbanet.ir import DType
from numbanet.ops.losses import CROSS_ENTROPY
from numbanet.testing import check_gradients, evaluate, inputs_like

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)) * 3
LABELS = RNG.integers(0, 4, 6)
TARGETS = RNG.uniform(0.05, 0.95, (6, 4))
PROBABILITIES = RNG.uniform(0.05, 0.95, (6, 4))


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


def peer(name, *arrays):
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, name)
    return function(*(torch.tensor(array) for array in arrays), reduction="none").numpy()


def test_cross_entropy_of_classes_agrees_with_pytorch():
    expected = peer("cross_entropy", LOGITS, LABELS)
    np.testing.assert_allclose(compute(ops.cross_entropy, LOGITS, LABELS), expected)
    check_gradients(ops.cross_entropy, LOGITS, LABELS)


def test_cross_entropy_of_probabilities_agrees_with_pytorch():
    labels = TARGETS / TARGETS.sum(axis=1, keepdims=True)
    expected = peer("cross_entropy", LOGITS, labels)
    np.testing.assert_allclose(compute(ops.cross_entropy, LOGITS, labels), expected)
    check_gradients(ops.cross_entropy, LOGITS, labels)


def test_cross_entropy_takes_its_gradient_from_the_forward_pass():
    logits, labels, seed = inputs_like((LOGITS, LABELS, np.ones(6)))
    loss = ops.cross_entropy(logits, labels)
    (gradient,) = differentiate([loss], [logits], [seed])
    assert loss.node.outputs[1] in gradient.node.inputs


def test_cross_entropy_has_second_derivatives():
    def gradient(logits, labels, seed):
        return differentiate([ops.cross_entropy(logits, labels)], [logits], [seed])

    check_gradients(gradient, LOGITS, LABELS, RNG.normal(size=6))
    check_gradients(lambda x, labels: CROSS_ENTROPY(x, labels), LOGITS, LABELS)


def test_the_decomposition_survives_classes_that_are_impossible():
    logits = np.array([[0.0, -np.inf, 1.0]])
    x, labels = inputs_like((logits, np.array([2])))
    loss, _ = CROSS_ENTROPY.decompose(ops.cross_entropy(x, labels).node)
    result = evaluate(loss, {x: logits, labels: np.array([2])})
    np.testing.assert_allclose(result, [np.log1p(np.exp(-1))])


@pytest.mark.parametrize("labels", [[0, 4], [-1, 0]])
def test_labels_out_of_range_are_told(labels):
    with pytest.raises(DataError, match="labels out of range"):
        compute(ops.cross_entropy, LOGITS[:2], np.array(labels))


def test_nll_agrees_with_pytorch():
    log_probabilities = np.log(PROBABILITIES)
    expected = peer("nll_loss", log_probabilities, LABELS)
    np.testing.assert_allclose(compute(ops.nll, log_probabilities, LABELS), expected)
    check_gradients(ops.nll, log_probabilities, LABELS)


@pytest.mark.parametrize(
    ("function", "name"),
    [(ops.mean_squared_error, "mse_loss"), (ops.mean_absolute_error, "l1_loss")],
)
def test_errors_are_means_over_the_last_axis(function, name):
    expected = peer(name, LOGITS, TARGETS).mean(axis=-1)
    np.testing.assert_allclose(compute(function, LOGITS, TARGETS), expected)
    check_gradients(function, LOGITS, TARGETS)


def test_binary_cross_entropy_agrees_with_pytorch():
    expected = peer("binary_cross_entropy", PROBABILITIES, TARGETS)
    result = compute(ops.binary_cross_entropy, PROBABILITIES, TARGETS)
    np.testing.assert_allclose(result, expected)
    check_gradients(ops.binary_cross_entropy, PROBABILITIES, TARGETS)


def test_binary_cross_entropy_is_finite_at_its_ends():
    p, t = np.array([0.0, 1.0], np.float32), np.array([1.0, 0.0], np.float32)
    losses = compute(ops.binary_cross_entropy, p, t)
    np.testing.assert_allclose(losses, -np.log(1e-7), rtol=0.02)


def test_binary_cross_entropy_with_logits_agrees_with_pytorch():
    expected = peer("binary_cross_entropy_with_logits", LOGITS, TARGETS)
    result = compute(ops.binary_cross_entropy_with_logits, LOGITS, TARGETS)
    np.testing.assert_allclose(result, expected)
    # At zero too, where a formula of max and abs has no slope.
    check_gradients(ops.binary_cross_entropy_with_logits, LOGITS * (LOGITS > 0), TARGETS)


def test_binary_cross_entropy_with_logits_is_finite_for_huge_logits():
    z, t = np.array([1e4, -1e4, 1e4]), np.array([1.0, 0.0, 0.0])
    result = compute(ops.binary_cross_entropy_with_logits, z, t)
    np.testing.assert_array_equal(result, [0, 0, 1e4])


@pytest.mark.parametrize(
    "loss",
    [
        ops.mean_squared_error,
        ops.mean_absolute_error,
        ops.binary_cross_entropy,
        ops.binary_cross_entropy_with_logits,
        ops.cross_entropy,
    ],
)
def test_targets_do_not_broadcast(loss):
    predictions, targets = inputs_like((np.zeros((6, 1)), np.zeros(6)))
    with pytest.raises(ShapeError, match="targets of another shape"):
        loss(predictions, targets)


def test_labels_of_another_shape_or_dtype_are_refused():
    logits, column, bools, small = inputs_like(
        (LOGITS, LABELS[:, np.newaxis], LABELS > 1, TARGETS.astype(np.float32))
    )
    for loss in (ops.cross_entropy, ops.nll):
        with pytest.raises(ShapeError, match="one class for each sample"):
            loss(logits, column)
        with pytest.raises(DTypeError, match="integer"):
            loss(logits, bools)
    with pytest.raises(DTypeError, match="predictions' dtype"):
        ops.cross_entropy(logits, small)


def test_the_batch_size_may_be_unknown():
    logits = ops.input_value("logits", (None, 4))
    assert ops.cross_entropy(logits, ops.input_value("y", (None,), DType.INT64)).shape == (
        None,
    )
    targets = ops.input_value("targets", (None, 4))
    assert ops.mean_squared_error(logits, targets).shape == (None,)
    assert ops.cross_entropy(logits, targets).shape == (None,)
    assert ops.binary_cross_entropy(logits, targets).shape == (None, 4)
