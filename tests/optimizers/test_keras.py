"""Optimizers and schedules against Keras's: twenty steps, and every option around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import optimizers
from tests.keras_peer import import_keras
from tests.optimizers.steps import Steps, gradients_like

keras = import_keras()

ODD_ADAM = {"learning_rate": 0.03, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3}
MUON = {"learning_rate": 0.02, "adam_lr_ratio": 0.5}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {**ODD_ADAM, "amsgrad": True}),
    ("Adam", {**ODD_ADAM, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {**ODD_ADAM, "weight_decay": 0.1, "amsgrad": True}),
    ("Adamax", {}),
    ("Adamax", {**ODD_ADAM, "weight_decay": 0.1}),
    ("Nadam", {}),
    ("Nadam", {**ODD_ADAM, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.02, "rho": 0.7, "epsilon": 0.01, "momentum": 0.9}),
    ("RMSprop", {"learning_rate": 0.02, "centered": True, "epsilon": 0.01}),
    ("RMSprop", {"learning_rate": 0.02, "centered": True, "momentum": 0.5, "epsilon": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 0.01}),
    ("Adadelta", {}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.8, "epsilon": 0.01, "weight_decay": 0.1}),
    ("Lion", {}),
    ("Lion", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.8, "weight_decay": 0.1}),
    ("Muon", {}),
    ("Muon", {**MUON, "nesterov": False, "ns_steps": 3, "rms_rate": None}),
    ("Muon", {**MUON, "exclude_layers": ["^head"], "exclude_embeddings": False}),
    ("Muon", {**MUON, "weight_decay": 0.2, "adam_weight_decay": 0.1, "momentum": 0.8}),
]
OPTIONS: list[dict[str, Any]] = [
    {"clipnorm": 1.0},
    {"clipvalue": 0.3},
    {"global_clipnorm": 1.5},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "clipnorm": 0.5, "weight_decay": 0.1},
    {"use_ema": True, "ema_momentum": 0.7},
    {"use_ema": True, "ema_overwrite_frequency": 4},
    {
        "use_ema": True,
        "ema_momentum": 0.8,
        "ema_overwrite_frequency": 3,
        "gradient_accumulation_steps": 2,
        "global_clipnorm": 0.7,
    },
]
"""Kept few: Keras compiles anew at each step of most of them."""

SHAPES = {"body/kernel": (5, 3), "body/bias": (3,)}
MUON_SHAPES = {
    **SHAPES,
    "embedding/embeddings": (4, 3),
    "head/kernel": (3, 5),
    "conv/kernel": (2, 1, 2, 3),
}


def compare(name: str, arguments: dict[str, Any], theirs: Any, steps: int = 20) -> None:
    """Take steps with both optimizers, which begin and are pushed alike."""
    rng = np.random.default_rng(0)
    shapes = MUON_SHAPES if name == "Muon" else SHAPES
    starts = {path: rng.normal(size=shape).astype(np.float32) for path, shape in shapes.items()}
    ours = Steps(getattr(optimizers, name)(**arguments), starts)
    variables = [keras.Variable(start, name="kernel") for start in starts.values()]
    for variable, path in zip(variables, starts, strict=True):
        variable._path = path
    theirs.build(variables)
    for gradients in gradients_like(starts, rng, steps):
        found = ours.take(gradients)
        theirs.apply([keras.ops.convert_to_tensor(each) for each in gradients])
        check(found, variables)
    theirs.finalize_variable_values(variables)
    check(ours.finish(), variables)


def check(found: list[np.ndarray], variables: list[Any]) -> None:
    for array, variable in zip(found, variables, strict=True):
        np.testing.assert_allclose(array, np.asarray(variable), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_twenty_steps(name: str, arguments: dict[str, Any]) -> None:
    compare(name, arguments, getattr(keras.optimizers, name)(**arguments))


@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_all_optimizers(options: dict[str, Any]) -> None:
    arguments = {"learning_rate": 0.05, **options}
    # Nadam has slots of both kinds.
    compare("Nadam", arguments, keras.optimizers.Nadam(**arguments), steps=7)


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"decay_steps": 7, "decay_rate": 0.6}),
    ("ExponentialDecay", {"decay_steps": 7, "decay_rate": 0.6, "staircase": True}),
    ("InverseTimeDecay", {"decay_steps": 5, "decay_rate": 0.6}),
    ("InverseTimeDecay", {"decay_steps": 5, "decay_rate": 0.6, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [4, 9], "values": [0.3, 0.2, 0.1]}),
    ("PiecewiseConstantDecay", {"boundaries": [6], "values": [0.3, 0.1]}),
    ("PolynomialDecay", {"decay_steps": 11}),
    ("PolynomialDecay", {"decay_steps": 6, "power": 2.0, "end_learning_rate": 0.01}),
    ("PolynomialDecay", {"decay_steps": 6, "power": 0.5, "cycle": True}),
    ("CosineDecay", {"decay_steps": 12}),
    ("CosineDecay", {"decay_steps": 12, "alpha": 0.2}),
    ("CosineDecay", {"decay_steps": 9, "warmup_target": 0.4, "warmup_steps": 5}),
    ("CosineDecayRestarts", {"first_decay_steps": 4}),
    ("CosineDecayRestarts", {"first_decay_steps": 5, "t_mul": 1.0, "m_mul": 0.8}),
    ("CosineDecayRestarts", {"first_decay_steps": 3, "t_mul": 1.5, "alpha": 0.1}),
]


def pair(name: str, arguments: dict[str, Any]) -> list[Any]:
    """The same schedule on both sides."""
    if name != "PiecewiseConstantDecay":
        arguments = {"initial_learning_rate": 0.2, **arguments}
    libraries = (optimizers.schedules, keras.optimizers.schedules)
    return [getattr(library, name)(**arguments) for library in libraries]


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_schedules(name: str, arguments: dict[str, Any]) -> None:
    ours, theirs = pair(name, arguments)
    found = [ours(step) for step in range(25)]
    expected = [float(theirs(step)) for step in range(25)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "optimizer", "options"),
    [
        ("ExponentialDecay", "Adam", {}),
        ("CosineDecay", "Adam", {"gradient_accumulation_steps": 2}),
        ("ExponentialDecay", "SGD", {"momentum": 0.8}),
        ("CosineDecay", "SGD", {"momentum": 0.8, "nesterov": True}),
    ],
)
def test_steps_on_a_schedule(name: str, optimizer: str, options: dict[str, Any]) -> None:
    (arguments,) = [each for key, each in SCHEDULES if key == name][:1]
    ours, theirs = pair(name, arguments)
    compare(
        optimizer,
        {"learning_rate": ours, **options},
        getattr(keras.optimizers, optimizer)(learning_rate=theirs, **options),
        steps=8,
    )
