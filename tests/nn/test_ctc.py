"""Connectionist temporal classification: values and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import nn
from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn import functional as F  # noqa: N812
from numbanet.testing import evaluate, inputs_like
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare
from tests.nn.twins import as_text

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(5, 3, 4))
LABELS = np.array([[1, 2, 2], [3, 1, 0], [2, 0, 0]])

CASES = [
    # name, lengths of inputs and of targets, others
    *(("F.ctc_loss", (5, 4, 5), (3, 2, 1), {"reduction": r}) for r in ("mean", "sum", "none")),
    ("F.ctc_loss", (5, 5, 1), (2, 1, 0), {"reduction": "sum"}),
    ("F.ctc_loss", (3, 4, 5), (3, 2, 1), {"zero_infinity": True}),
    ("F.ctc_loss", (5, 5, 5), (3, 2, 1), {"blank": 3}),
]


@pytest.mark.parametrize(("name", "steps", "labels", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_agree_with_pytorch(name, steps, labels, arguments, dtype):
    targets = np.where(arguments.get("blank") == LABELS, 0, LABELS)

    def of(library, lengths):
        # PyTorch's gradient is right behind log_softmax only.
        return lambda scores, targets: getattr(library, name[2:])(
            library.log_softmax(scores, 2), targets, *map(lengths, (steps, labels)), **arguments
        )

    ours, theirs = of(F, tuple), of(torch.nn.functional, torch.tensor)
    compare_graphs(ours, theirs, [SCORES, targets], dtype)


def test_the_module_agrees_with_pytorch():
    ours, theirs = (library.CTCLoss(zero_infinity=True) for library in (nn, torch.nn))
    assert as_text(ours) == as_text(theirs)
    lengths = np.array([5, 4, 5]), np.array([3, 2, 1])
    compare(
        lambda scores, *rest: ours(F.log_softmax(scores, 2), *rest),
        lambda scores, *rest: theirs(torch.nn.functional.log_softmax(scores, 2), *rest),
        [SCORES, LABELS, *lengths],
    )


def test_labels_that_do_not_fit_are_impossible():
    scores, labels = inputs_like([SCORES, LABELS])
    losses = F.ctc_loss(
        F.log_softmax(scores, 2), labels, (3, 2, 1), (3, 2, 2), reduction="none"
    )
    found = evaluate(losses, {scores: SCORES, labels: LABELS})
    np.testing.assert_array_equal(np.isinf(found), [True, False, True])


@pytest.mark.parametrize(
    ("shapes", "arguments", "error", "match"),
    [
        (((5, 3, 4), (6,)), {}, NotImplementedError, "one row"),
        (((5, 4), (3, 2)), {}, ShapeError, "operands"),
        (((5, 2, 4), (3, 2)), {}, ShapeError, "operands"),
        (((5, 3, 4), (3, 0)), {}, ShapeError, "labels"),
        (((5, 3, 4), (3, 2)), {"reduction": "max"}, ArgumentError, "reduction"),
    ],
)
def test_bad_arguments(shapes, arguments, error, match):
    scores, labels = inputs_like([np.zeros(shapes[0]), np.zeros(shapes[1], np.int64)])
    with pytest.raises(error, match=match):
        F.ctc_loss(scores, labels, (5, 5, 5), (1, 1, 1), **arguments)
