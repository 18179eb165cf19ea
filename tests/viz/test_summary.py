"""Summaries, compared with texts that a person has read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from numbanet import Input, Model, Module, Sequential, initializers, nn, ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
)
from numbanet.viz.summary import size
from tests.reference_device import ReferenceDevice
from tests.viz import drawn

Golden = Callable[[str, str], None]


def printed(model: Model, **options: Any) -> str:
    """What `Model.summary` prints."""
    texts: list[str] = []
    model.summary(print_fn=texts.append, **options)
    (text,) = texts
    return text


def test_sequential(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential(
        {"flat": Flatten(), "fc1": Dense(32, activation="relu"), "drop": Dropout(0.2)}
    )
    model.add(Dense(10, activation="softmax"))
    with pytest.raises(ArgumentError, match="does not know its inputs yet"):
        model.summary()
    whole = Sequential([Input((8, 8, 1)), model])
    whole.summary()
    text = printed(whole)
    assert capsys.readouterr().out == text + "\n"
    golden("summary_nested", text)
    golden("summary_sequential", printed(Sequential([Input((8, 8, 1)), *model])))


def test_branches_and_shared_layers(golden: Golden) -> None:
    x = Input((8, 8, 1), name="scan")
    stem = Conv2D(8, 3, padding="same", activation="relu")(x)
    shared = Conv2D(8, 3, padding="same", use_bias=False, name="shared")
    skip = Add()([stem, BatchNormalization()(shared(stem))])
    small = shared(MaxPooling2D()(stem)) * 0.5
    pooled = [GlobalAveragePooling2D()(branch) for branch in (skip, small)]
    model = Model(x, Dense(10, activation="softmax")(Concatenate()(pooled)), name="digits")
    model["shared"].trainable = False
    golden("summary_branches", printed(model))


def test_compiled_models_show_the_planned_memory() -> None:
    model = Sequential([Input((4,)), Dense(3)])
    model.compile("sgd", "mse", device=ReferenceDevice())
    program = model.program(8)
    line = printed(model, batch_size=8).splitlines()[-1]
    assert line == (
        f"Training step of 8 samples: {size(program.peak_bytes)} planned, "
        f"{size(program.arena_bytes)} of it for values that live within the step"
    )


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (5 << 30, "5.0 GB")]
)
def test_sizes(nbytes: int, text: str) -> None:
    assert size(nbytes) == text


def test_nested_models_expand(golden: Golden) -> None:
    model = drawn.nested()
    model["encoder"].trainable = False
    golden("summary_expanded", printed(model, expand_nested=True, show_trainable=True))


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    model = drawn.chain()
    part = printed(model, layer_range=("max_pooling2d", "flatten"))
    assert capsys.readouterr().out == ""
    assert [line.split()[0] for line in part.splitlines()[4:-3]] == ["max_pooling2d", "flatten"]
    with pytest.raises(ArgumentError, match="no layer 'conv9'"):
        model.summary(layer_range=("conv9", "flatten"))
    refused: list[dict[str, Any]] = [{"line_length": 80}, {"positions": [0.3, 0.6]}]
    for option in refused:
        with pytest.raises(NotImplementedError, match=next(iter(option))):
            model.summary(**option)


def test_modules_of_the_other_door() -> None:
    block = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    model = Sequential([Input((8,)), block, nn.Linear(4, 2)])
    text = printed(model, expand_nested=True)
    assert "sequential (Sequential)  (None, 4)          36    16 B     72  input" in text
    assert "linear (Linear)          (None, 2)          10     8 B     18  sequential" in text
    assert "├─ 0 (Linear)" in text
    assert "└─ 1 (ReLU)" in text


def test_modules_with_parameters_of_their_own_are_one_row() -> None:
    class Scaled(Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Dense(4)

        def build(self, x: Value) -> None:
            self.scale = self.parameter("scale", (4,), initializers.get("ones"))

        def forward(self, x: Value) -> Value:
            return self.inner(x) * ops.variable_value(self.scale)

    text = printed(Sequential([Input((8,)), Scaled()]), expand_nested=True)
    assert "scaled (Scaled)" in text
    assert "Dense" not in text
