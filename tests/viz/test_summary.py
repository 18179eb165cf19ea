"""Summaries, compared with texts that a person has read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from numbanet import Input, Model, Sequential
from numbanet.errors import ArgumentError
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

Golden = Callable[[str, str], None]


def test_sequential(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential(
        {"flat": Flatten(), "fc1": Dense(32, activation="relu"), "drop": Dropout(0.2)}
    )
    model.add(Dense(10, activation="softmax"))
    with pytest.raises(ArgumentError, match="does not know its inputs yet"):
        model.summary()
    whole = Sequential([Input((8, 8, 1)), model])
    text = whole.summary()
    assert capsys.readouterr().out == text + "\n"
    golden("summary_nested", text)
    golden("summary_sequential", Sequential([Input((8, 8, 1)), *model]).summary())


def test_branches_and_shared_layers(golden: Golden) -> None:
    x = Input((8, 8, 1), name="scan")
    stem = Conv2D(8, 3, padding="same", activation="relu")(x)
    shared = Conv2D(8, 3, padding="same", use_bias=False, name="shared")
    skip = Add()([stem, BatchNormalization()(shared(stem))])
    small = shared(MaxPooling2D()(stem)) * 0.5
    pooled = [GlobalAveragePooling2D()(branch) for branch in (skip, small)]
    model = Model(x, Dense(10, activation="softmax")(Concatenate()(pooled)), name="digits")
    model["shared"].trainable = False
    golden("summary_branches", model.summary())


def test_compiled_models_show_the_planned_memory() -> None:
    model = Sequential([Input((4,)), Dense(3)])
    model.compile("sgd", "mse", device=ReferenceDevice())
    program = model.program(8)
    line = model.summary(batch_size=8).splitlines()[-1]
    assert line == (
        f"Training step of 8 samples: {size(program.peak_bytes)} planned, "
        f"{size(program.arena_bytes)} of it for values that live within the step"
    )


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (5 << 30, "5.0 GB")]
)
def test_sizes(nbytes: int, text: str) -> None:
    assert size(nbytes) == text
