"""Losses: values and gradients are PyTorch's."""

from __future__ import annotations

import inspect
import itertools
from functools import partial

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType, Graph
from numbanet.nn import functional as F  # noqa: N812
from numbanet.ops import input_value
from numbanet.ops.losses import CROSS_ENTROPY
from numbanet.tensors.tensor import Tensor
from numbanet.testing import evaluate, inputs_like
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
REDUCTIONS = ("none", "mean", "sum")


def normal(*shape):
    return RNG.normal(size=shape)


def uniform(*shape):
    return RNG.uniform(0.05, 0.95, shape)


def signs(*shape):
    return RNG.integers(0, 2, shape) * 2 - 1


def classes(count, *shape):
    return RNG.integers(0, count, shape)


def shares(*shape):
    numbers = RNG.uniform(0.05, 0.95, shape)
    return numbers / numbers.sum(axis=1 if len(shape) > 1 else 0, keepdims=True)


A, B, C = normal(5, 3), normal(5, 3), normal(5, 3)
P, Q = uniform(5, 3), uniform(5, 3)
IGNORED = np.array([0, 2, -100, 1, -100])
IMAGE, IMAGE_LABELS = normal(2, 4, 3, 2), classes(4, 2, 3, 2)

CLASS_TARGETS = [
    (normal(5, 3), classes(3, 5)),
    (normal(5, 3), IGNORED),
    (normal(3), classes(3)),
    (normal(1, 1), np.zeros(1, np.int64)),
    (IMAGE, IMAGE_LABELS),
    (normal(2, 4, 3), classes(4, 2, 3)),
]
SOFT_TARGETS = [(A, shares(5, 3)), (normal(3), shares(3)), (IMAGE, shares(2, 4, 3, 2))]


def class_cases():
    """Targets of each shape, with and without weights, ignored classes and smoothing."""
    for scores, labels in CLASS_TARGETS:
        weight = uniform(scores.shape[1 if scores.ndim > 1 else 0])
        ignorable = (-100,) if np.min(labels) < 0 else (-100, 2)
        for weights, ignored in itertools.product((None, weight), ignorable):
            yield "F.nll_loss", (scores, labels, weights), {"ignore_index": ignored}
            for smoothing in (0.0, 0.3):
                options = {"ignore_index": ignored, "label_smoothing": smoothing}
                yield "F.cross_entropy", (scores, labels, weights), options
    for scores, probabilities in SOFT_TARGETS:
        weight = uniform(scores.shape[1 if scores.ndim > 1 else 0])
        for weights, smoothing in itertools.product((None, weight), (0.0, 0.3)):
            options = {"label_smoothing": smoothing}
            yield "F.cross_entropy", (scores, probabilities, weights), options


ELEMENT_CASES = [
    ("F.mse_loss", (A, B), {}),
    ("F.mse_loss", (A, B), {"weight": P}),
    ("F.mse_loss", (normal(1), classes(4, 1)), {}),
    ("F.l1_loss", (A, B), {}),
    ("F.l1_loss", (A, B), {"weight": P}),
    ("F.smooth_l1_loss", (A, B), {}),
    ("F.smooth_l1_loss", (A, B), {"beta": 0.3}),
    ("F.smooth_l1_loss", (A, B), {"beta": 0.0}),
    ("F.huber_loss", (A, B), {}),
    ("F.huber_loss", (A, B), {"delta": 0.3}),
    ("F.huber_loss", (A, B), {"delta": 0.7, "weight": P}),
    ("F.binary_cross_entropy", (P, Q), {}),
    ("F.binary_cross_entropy", (P, Q, uniform(3)), {}),
    ("F.binary_cross_entropy_with_logits", (A, Q), {}),
    ("F.binary_cross_entropy_with_logits", (A * 200, Q, uniform(3)), {}),
    ("F.binary_cross_entropy_with_logits", (A, Q), {"pos_weight": uniform(3)}),
    ("F.binary_cross_entropy_with_logits", (A, Q, uniform(5, 1)), {"pos_weight": P}),
    ("F.kl_div", (A, shares(5, 3)), {}),
    ("F.kl_div", (A, B), {"log_target": True}),
    ("F.kl_div", (normal(3), uniform(3)), {}),
    ("F.poisson_nll_loss", (A, P * 4), {}),
    ("F.poisson_nll_loss", (A, P * 4), {"full": True}),
    ("F.poisson_nll_loss", (P, P * 4), {"log_input": False, "full": True, "eps": 1e-3}),
    ("F.gaussian_nll_loss", (A, B, P), {}),
    ("F.gaussian_nll_loss", (A, B, uniform(5)), {"full": True}),
    ("F.gaussian_nll_loss", (A, B, uniform(5, 1)), {"eps": 0.5}),
    ("F.gaussian_nll_loss", (A, B), {"var": 0.3}),
    ("F.soft_margin_loss", (A, signs(5, 3)), {}),
    ("F.soft_margin_loss", (A, B), {}),
    ("F.hinge_embedding_loss", (A, signs(5, 3)), {}),
    ("F.hinge_embedding_loss", (A, signs(5, 3) * 1.0), {"margin": 0.4}),
    ("F.multilabel_soft_margin_loss", (A, P), {}),
    ("F.multilabel_soft_margin_loss", (A, classes(2, 5, 3), uniform(3)), {}),
]
PAIR_CASES = [
    ("F.cosine_embedding_loss", (A, B, signs(5)), {}),
    ("F.cosine_embedding_loss", (A, B, signs(5) * 1.0), {"margin": 0.2}),
    ("F.cosine_embedding_loss", (normal(4), normal(4), signs()), {}),
    ("F.margin_ranking_loss", (normal(5), normal(5), signs(5)), {}),
    ("F.margin_ranking_loss", (normal(5), normal(5), normal(5)), {"margin": 0.5}),
    ("F.triplet_margin_loss", (A, B, C), {}),
    ("F.triplet_margin_loss", (A, B, C), {"p": 1, "margin": 2.0}),
    ("F.triplet_margin_loss", (A, B, C), {"p": 3.0, "swap": True, "eps": 1e-3}),
    ("F.triplet_margin_loss", (A, B, C), {"p": float("inf"), "swap": True}),
    ("F.triplet_margin_loss", (normal(3), normal(3), normal(3)), {"swap": True}),
    ("F.multi_margin_loss", (A, classes(3, 5)), {}),
    ("F.multi_margin_loss", (A, classes(3, 5)), {"p": 2, "margin": 0.5}),
    ("F.multi_margin_loss", (normal(3), classes(3, 1)), {}),
    ("F.multilabel_margin_loss", (normal(2, 4), np.array([[3, 0, -1, 1], [-1, 2, 1, 0]])), {}),
    ("F.multilabel_margin_loss", (normal(3), np.array([2, 2, 0])), {}),
]
FIXED = {
    "F.cross_entropy": (2,),
    "F.nll_loss": (2,),
    "F.binary_cross_entropy": (2,),
    "F.binary_cross_entropy_with_logits": (2, 3),
    "F.soft_margin_loss": (1,),
}
"""Arguments that PyTorch does not differentiate."""

CASES = [*class_cases(), *ELEMENT_CASES, *PAIR_CASES]


def functions(name, options):
    """Ours and PyTorch's, with the options that are arrays made tensors of each kind."""
    short = name.removeprefix("F.")
    plain = {key: v for key, v in options.items() if not isinstance(v, np.ndarray)}
    keys = [key for key, v in options.items() if isinstance(v, np.ndarray)]

    def call(function):
        def called(*operands):
            count = len(operands) - len(keys)
            named = dict(zip(keys, operands[count:], strict=True))
            return function(*operands[:count], **named, **plain)

        return called

    return call(getattr(F, short)), call(getattr(torch.nn.functional, short))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "arrays", "options"), CASES)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
def test_functions(name, arrays, options, reduction, dtype):
    ours, theirs = functions(name, options | {"reduction": reduction})
    extra = [value for value in options.values() if isinstance(value, np.ndarray)]
    if "weight" in options:
        extra = [value.astype(dtype) for value in extra]
    compare_graphs(ours, theirs, [*arrays, *extra], dtype, FIXED.get(name, ()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_of_certain_probabilities(dtype):
    """PyTorch's slope with respect to the target is infinite there; ours is of the loss."""
    ours, theirs = functions("F.binary_cross_entropy", {})
    arrays = (np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0]))
    compare_graphs(ours, theirs, arrays, dtype, fixed=(1,))
    compare_graphs(
        ours, ours_in_torch, (np.array([0.0, 1.0]), np.array([1.0, 0.3])), dtype, (0,)
    )


def ours_in_torch(p, target):
    logs, rest = (torch.log(each).clamp(min=-100) for each in (p, 1 - p))
    return -(target * logs + (1 - target) * rest).mean()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_divergence_of_a_batch(dtype):
    for arrays in ((A, shares(5, 3)), (A, shares(3))):
        ours, theirs = functions("F.kl_div", {"reduction": "batchmean"})
        compare_graphs(ours, theirs, arrays, dtype)


def test_a_batch_of_unknown_size():
    scores = input_value("scores", (None, 3))
    labels = input_value("labels", (None,), DType.INT64)
    assert F.cross_entropy(scores, labels).shape == ()
    assert F.cross_entropy(scores, labels, reduction="none").shape == (None,)
    assert F.cross_entropy(scores, labels, label_smoothing=0.1).shape == ()
    assert F.multi_margin_loss(scores, labels, reduction="none").shape == (None,)
    for name in ("mse_loss", "kl_div", "binary_cross_entropy", "poisson_nll_loss"):
        assert getattr(F, name)(scores, scores).shape == ()
    assert F.kl_div(scores, scores, reduction="batchmean").shape == ()


def test_classes_use_the_fused_loss():
    """One kernel with its gradient; what is ignored is not an index."""
    scores, labels = inputs_like((A, IGNORED))
    graph = Graph((scores, labels), {"loss": F.cross_entropy(scores, labels)})
    (node,) = (node for node in graph.nodes if node.op is CROSS_ENTROPY)
    assert node.inputs[0] is scores
    safe = evaluate(node.inputs[1], {labels: IGNORED})
    np.testing.assert_array_equal(safe, [0, 2, 0, 1, 0])


X = input_value("x", (5, 3))
Y = input_value("y", (5,), DType.INT64)
BAD = [
    (lambda: F.mse_loss(X, X, reduction="median"), ArgumentError, "reduction"),
    (lambda: F.kl_div(X, X, reduction="median"), ArgumentError, "batchmean"),
    (lambda: F.mse_loss(X, X, size_average=True), NotImplementedError, "size_average"),
    (lambda: F.cross_entropy(X, Y, reduce=False), NotImplementedError, "reduce="),
    (lambda: F.cross_entropy(X, Y, label_smoothing=2.0), ArgumentError, "label_smoothing"),
    (lambda: F.cross_entropy(X, X, ignore_index=1), ArgumentError, "ignore_index"),
    (lambda: F.cross_entropy(X, input_value("z", (4,), DType.INT64)), ShapeError, "class"),
    (lambda: F.cross_entropy(X, Y, weight=input_value("w", (4,))), ShapeError, "weight"),
    (lambda: F.nll_loss(X, input_value("z", (5,), DType.BOOL)), DTypeError, "integer"),
    (lambda: F.smooth_l1_loss(X, X, beta=-1.0), ArgumentError, "beta"),
    (lambda: F.huber_loss(X, X, delta=0.0), ArgumentError, "delta"),
    (lambda: F.mse_loss(X, X, weight=input_value("w", (3,))), ShapeError, "weight"),
    (lambda: F.binary_cross_entropy(X, input_value("y", (5,))), ShapeError, "target"),
    (lambda: F.gaussian_nll_loss(X, X, input_value("v", (4,))), ShapeError, "variance"),
    (lambda: F.gaussian_nll_loss(X, X, -1.0), ArgumentError, "variance"),
    (lambda: F.multi_margin_loss(X, Y, p=3), ArgumentError, "p = 1 or 2"),
    (lambda: F.triplet_margin_loss(X, X, X, margin=0.0), ArgumentError, "margin"),
    (lambda: F.cosine_embedding_loss(X, X, X), ShapeError, "target"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_target_that_broadcasts_is_told():
    with pytest.warns(UserWarning, match="broadcasts a target"):
        assert F.mse_loss(X, input_value("y", (3,)), reduction="none").shape == (5, 3)


MODULES = {
    "CrossEntropyLoss": "cross_entropy",
    "NLLLoss": "nll_loss",
    "MSELoss": "mse_loss",
    "L1Loss": "l1_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "HuberLoss": "huber_loss",
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "KLDivLoss": "kl_div",
    "PoissonNLLLoss": "poisson_nll_loss",
    "GaussianNLLLoss": "gaussian_nll_loss",
    "SoftMarginLoss": "soft_margin_loss",
    "HingeEmbeddingLoss": "hinge_embedding_loss",
    "CosineEmbeddingLoss": "cosine_embedding_loss",
    "MarginRankingLoss": "margin_ranking_loss",
    "TripletMarginLoss": "triplet_margin_loss",
    "MultiMarginLoss": "multi_margin_loss",
    "MultiLabelMarginLoss": "multilabel_margin_loss",
    "MultiLabelSoftMarginLoss": "multilabel_soft_margin_loss",
}


def parameters_of(callable_):
    parameters = inspect.signature(callable_).parameters.values()
    return [(each.name, each.default, each.kind) for each in parameters]


@pytest.mark.parametrize(("name", "function"), MODULES.items())
def test_modules_take_what_theirs_take(name, function):
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    assert parameters_of(ours) == parameters_of(theirs)
    assert parameters_of(ours.forward) == parameters_of(theirs.forward)
    short = getattr(F, function)
    assert parameters_of(short) == parameters_of(getattr(torch.nn.functional, function))
    assert repr(ours()) == repr(theirs())
    with pytest.raises((NotImplementedError, TypeError), match="size_average"):
        ours(size_average=True)


SETTINGS = [
    ("nn.CrossEntropyLoss", {"weight": uniform(3), "ignore_index": 1, "label_smoothing": 0.1}),
    ("nn.BCEWithLogitsLoss", {"weight": uniform(3), "pos_weight": uniform(3)}),
    ("nn.TripletMarginLoss", {"margin": 2.0, "p": 1.0, "swap": True, "reduction": "sum"}),
    ("nn.MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": uniform(3)}),
    ("nn.GaussianNLLLoss", {"full": True, "eps": 0.1, "reduction": "none"}),
]
OPERANDS = {
    "nn.CrossEntropyLoss": (A, classes(3, 5)),
    "nn.BCEWithLogitsLoss": (A, Q),
    "nn.TripletMarginLoss": (A, B, C),
    "nn.MultiMarginLoss": (A, classes(3, 5)),
    "nn.GaussianNLLLoss": (A, B, P),
}


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_modules_run_by_kernels(name, settings):
    """Every setting reaches the function, and weights are buffers."""

    def make(library, tensor):
        given = {
            key: tensor(np.float32(value)) if isinstance(value, np.ndarray) else value
            for key, value in settings.items()
        }
        return getattr(library, name[3:])(**given)

    ours, theirs = make(nn, Tensor.wrap), make(torch.nn, torch.tensor)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    compare(ours, theirs, OPERANDS[name])


def test_ignored_labels_run_by_kernels():
    compare(nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), [A, IGNORED])


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_triplets_of_any_distance(swap, reduction):
    options = {"swap": swap, "margin": 3.0, "reduction": reduction}
    for distance in (None, lambda a, b: (a - b) @ (a + b)):
        ours, theirs = (
            library.TripletMarginWithDistanceLoss(distance_function=distance, **options)
            for library in (nn, torch.nn)
        )
        shape = (5, 3) if distance is None else (3,)
        arrays = [normal(*shape) for _ in range(3)]
        compare_graphs(ours, theirs, arrays, "float64")
        functional = [
            partial(
                library.functional.triplet_margin_with_distance_loss,
                distance_function=distance,
                **options,
            )
            for library in (nn, torch.nn)
        ]
        compare_graphs(*functional, arrays, "float64")
    assert repr(ours) == repr(theirs)
    assert parameters_of(nn.TripletMarginWithDistanceLoss) == parameters_of(
        torch.nn.TripletMarginWithDistanceLoss
    )


def test_weights_given_by_keyword_to_values():
    loss = nn.MultiMarginLoss(weight=Tensor.wrap(np.ones(3, np.float32)))
    assert loss(X, Y).shape == ()
