"""Each rule of the lint: it fires, and it is silent about a healthy model."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from numbanet import Input, Model, Sequential, lint, tensor
from numbanet.errors import ArgumentError
from numbanet.layers import (
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    MultiHeadAttention,
    Rescaling,
    SimpleRNN,
)
from numbanet.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from numbanet.nn import functional as F  # noqa: N812 - PyTorch's name
from tests.reference_device import ReferenceDevice

DRAW = np.random.default_rng(3)
LOGITS = SparseCategoricalCrossentropy(from_logits=True)


@dataclass(frozen=True)
class Case:
    """A model, its loss and its data. ``code`` is what is found, None for nothing."""

    code: str | None
    layers: Callable[[], list[Any]]
    loss: Any
    x: Any = field(default_factory=lambda: DRAW.random((40, 6), np.float32))
    y: Any = field(default_factory=lambda: np.arange(40) % 2)
    batch_size: int = 8


def pixels(count: int = 8, high: int = 256) -> np.ndarray:
    return DRAW.integers(0, high, (count, 6, 6, 1)).astype(np.float32)


def columns(width: int) -> np.ndarray:
    return (np.arange(40 * width).reshape(40, width) % 2).astype(np.float32)


def words() -> Embedding:
    return Embedding(5, 3, mask_zero=True)


def image_layers() -> list[Any]:
    return [Conv2D(2, 3), GlobalAveragePooling2D(), Dense(2)]


SOFTMAX = [
    Case("NB101", lambda: [Dense(2, activation="softmax")], LOGITS),
    Case(
        "NB101",
        lambda: [Dense(2), *_activation("softmax"), Flatten()],
        CategoricalCrossentropy(from_logits=True),
        y=np.eye(2, dtype=np.float32)[np.arange(40) % 2],
    ),
    Case(None, lambda: [Dense(2)], LOGITS),
    Case(None, lambda: [Dense(2, activation="softmax")], "sparse_categorical_crossentropy"),
    Case(None, lambda: [Dense(4, activation="softmax"), Dense(2)], LOGITS),
]
SIGMOID = [
    Case(
        "NB102",
        lambda: [Dense(3, activation="sigmoid")],
        BinaryCrossentropy(True),
        y=columns(3),
    ),
    Case(None, lambda: [Dense(3)], BinaryCrossentropy(True), y=columns(3)),
    Case(None, lambda: [Dense(3, activation="sigmoid")], "bce", y=columns(3)),
]
PROBABILITIES = [
    Case("NB104", lambda: [Dense(2)], "sparse_categorical_crossentropy"),
    Case("NB104", lambda: [Dense(3, use_bias=False)], "bce", y=columns(3)),
    Case(None, lambda: [Dense(3)], "mse", y=columns(3)),
]
RANGE = [
    Case("NB105", lambda: [Dense(10)], LOGITS, np.ones((400, 6)), np.arange(400) % 3),
    Case("NB105", lambda: [Dense(1)], LOGITS, y=np.zeros(40, np.int64)),
    Case(None, lambda: [Dense(10)], LOGITS, np.ones((40, 6)), np.arange(40) % 3),
    Case(None, lambda: [Dense(3)], LOGITS, np.ones((400, 6)), np.arange(400) % 3),
]
DROPPED = [
    Case("NB107", lambda: [Dense(2), Dropout(0.5)], LOGITS),
    Case("NB107", lambda: [Dense(2), Dropout(0.5), Flatten()], LOGITS),
    Case(None, lambda: [Dropout(0.5), Dense(2)], LOGITS),
    Case(None, lambda: [Dense(2), Dropout(0.0)], LOGITS),
]
ALONE = [
    Case("NB108", lambda: [BatchNormalization(), Dense(2)], LOGITS, batch_size=1),
    Case(None, lambda: [BatchNormalization(), Dense(2)], LOGITS, batch_size=2),
    Case(None, lambda: [Dense(2)], LOGITS, batch_size=1),
]
UNSCALED = [
    Case("NB109", image_layers, LOGITS, pixels(), np.arange(8) % 2),
    Case("NB109", lambda: [Flatten(), Dense(2)], LOGITS, pixels(), np.arange(8) % 2),
    Case(None, image_layers, LOGITS, pixels() / 255, np.arange(8) % 2),
    Case(None, image_layers, LOGITS, pixels(high=5), np.arange(8) % 2),
    Case(
        None, lambda: [Rescaling(1 / 255), *image_layers()], LOGITS, pixels(), np.arange(8) % 2
    ),
    Case(
        None,
        lambda: [BatchNormalization(), *image_layers()],
        LOGITS,
        pixels(),
        np.arange(8) % 2,
    ),
    Case(
        None,
        lambda: [Embedding(256, 3), Flatten(), Dense(2)],
        LOGITS,
        pixels().astype(np.int64).reshape(8, 36),
        np.arange(8) % 2,
    ),
]
PADDED = DRAW.integers(0, 5, (8, 4)), np.arange(8) % 2
MASKED = [
    Case("NB110", lambda: [words(), Flatten(), Dense(2)], LOGITS, *PADDED),
    Case("NB110", lambda: [words(), Dense(3), Conv1D(2, 4), Flatten()], LOGITS, *PADDED),
    Case(None, lambda: [words(), GlobalAveragePooling1D(), Dense(2)], LOGITS, *PADDED),
    Case(None, lambda: [words(), SimpleRNN(3), Dense(2)], LOGITS, *PADDED),
]
CASES = [*SOFTMAX, *SIGMOID, *PROBABILITIES, *RANGE, *DROPPED, *ALONE, *UNSCALED, *MASKED]


def _activation(name: str) -> list[Any]:
    from numbanet.layers import Activation

    return [Activation(name)]


def fit(model: Model, loss: Any, x: Any, y: Any, batch_size: int = 8) -> list[str]:
    """Codes that training warns of."""
    model.compile("sgd", loss, device=ReferenceDevice())
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.fit(x, y, batch_size=batch_size, verbose=0)
    assert all(issubclass(each.category, lint.LintWarning) for each in found)
    return [str(each.message).split()[0] for each in found]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.code))
def test_rules(case: Case) -> None:
    found = fit(Sequential(case.layers()), case.loss, case.x, case.y, case.batch_size)
    assert found == ([] if case.code is None else [case.code])


def test_layers_within_one_that_takes_a_mask_need_not_mind_it() -> None:
    ids = Input((4,), dtype="int32")
    steps = words()(ids)
    attended = MultiHeadAttention(1, 2)(steps, steps)
    model = Model(ids, Dense(2)(GlobalAveragePooling1D()(attended)))
    assert fit(model, LOGITS, *PADDED) == []


def test_parameters_that_no_loss_reaches() -> None:
    class Forgetful(Model):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.lost = Dense(2), Dense(3)

        def forward(self, x: Any) -> Any:
            self.lost(x)
            return self.used(x)

    x, y = DRAW.random((8, 6), np.float32), np.arange(8) % 2
    model = Forgetful()
    assert fit(model, LOGITS, x, y) == ["NB106"]
    model.lost.trainable = False
    assert fit(model, LOGITS, x, y) == []


def test_warnings_come_once_and_before_anything_runs() -> None:
    x, y = DRAW.random((8, 6), np.float32), np.arange(8) % 2
    model = Sequential([Input((6,)), Dense(2, activation="softmax", name="scores")])
    with pytest.warns(lint.LintWarning, match="NB101 layer 'scores'") as found:
        model.compile("sgd", LOGITS, device=ReferenceDevice())
    assert found[0].filename == __file__
    assert found[0].message.code == "NB101"  # type: ignore[union-attr]
    model.fit(x, y, verbose=0)
    model.fit(x, y, verbose=0)


def test_silence() -> None:
    def compiled() -> None:
        model = Sequential([Input((6,)), Dense(2, activation="softmax")])
        model.compile("sgd", LOGITS, device=ReferenceDevice())

    with lint.ignore("NB101"):
        compiled()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "NB101")
        compiled()
    with pytest.warns(lint.LintWarning), lint.ignore("NB102"):
        compiled()
    with pytest.raises(ArgumentError, match="unknown code"):
        lint.ignore("NB999")


def scores(width: int = 3) -> Any:
    return tensor(DRAW.random((4, width), np.float32)) @ tensor(np.ones((width, 3), np.float32))


LABELS = np.array([0, 2, 1, 0])
FUNCTIONS = [
    ("NB101", lambda: F.cross_entropy(F.softmax(scores(), dim=1), tensor(LABELS))),
    (None, lambda: F.cross_entropy(scores(), tensor(LABELS))),
    (
        "NB102",
        lambda: F.binary_cross_entropy_with_logits(scores().sigmoid(), tensor(columns(3)[:4])),
    ),
    (None, lambda: F.binary_cross_entropy_with_logits(scores(), tensor(columns(3)[:4]))),
    ("NB103", lambda: F.nll_loss(scores(), tensor(LABELS))),
    ("NB103", lambda: F.nll_loss(F.softmax(scores(), dim=1), tensor(LABELS))),
    (None, lambda: F.nll_loss(F.log_softmax(scores(), dim=1), tensor(LABELS))),
    (None, lambda: F.nll_loss(F.softmax(scores(), dim=1).log(), tensor(LABELS))),
    (None, lambda: F.nll_loss(tensor(DRAW.random((4, 3), np.float32)), tensor(LABELS))),
]


@pytest.mark.parametrize(("code", "call"), FUNCTIONS, ids=lambda each: str(each)[:5])
def test_functions_on_tensors(code: str | None, call: Callable[[], Any]) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    assert [str(each.message).split()[0] for each in found] == ([] if code is None else [code])


def test_every_code_is_listed() -> None:
    text = inspect.getsource(inspect.getmodule(lint.RULES[0]))  # type: ignore[arg-type]
    assert all(code in text for code in lint.CODES)
