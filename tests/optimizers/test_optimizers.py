"""Optimizers of models: formulas in NumPy, learning rates, names, and programs that train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import optimizers
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.layers import Dense
from numbanet.optimizers import SGD, Adam, AdamW, Hyper, Lion, Optimizer, Rule, Slot
from numbanet.optimizers.schedules import (
    CosineDecayRestarts,
    ExponentialDecay,
    PiecewiseConstantDecay,
)
from tests.optimizers.steps import Steps, gradients_like

RNG = np.random.default_rng(0)
START = RNG.normal(size=7)
GRADIENTS = RNG.normal(size=(10, 7))


def trajectory(optimizer: Optimizer) -> np.ndarray:
    """A float64 parameter after each gradient."""
    steps = Steps(optimizer, {"p": START})
    return np.stack([steps.take([gradient])[0] for gradient in GRADIENTS])


def test_plain_descent() -> None:
    expected = START - 0.1 * np.cumsum(GRADIENTS, axis=0)
    np.testing.assert_allclose(trajectory(SGD(0.1)), expected, rtol=1e-12)


def test_the_rate_scales_what_enters_the_velocity() -> None:
    schedule = PiecewiseConstantDecay([3], [0.5, 0.125])
    expected, p, velocity = [], START, np.zeros(7)
    for step, gradient in enumerate(GRADIENTS):
        velocity = 0.9 * velocity + (0.5 if step <= 3 else 0.125) * gradient
        p = p - velocity
        expected.append(p)
    np.testing.assert_allclose(trajectory(SGD(schedule, 0.9)), expected, rtol=1e-12)


def test_adam_is_exact_in_float64() -> None:
    optimizer = Adam(0.1, epsilon=1e-3, weight_decay=0.2)
    expected, p, m, v = [], START, np.zeros(7), np.zeros(7)
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        p = p - 0.1 * 0.2 * p - rate * m / (np.sqrt(v) + 1e-3)
        expected.append(p)
    np.testing.assert_allclose(trajectory(optimizer), expected, rtol=1e-12)


class Signs(Rule):
    """A rule of a user's: the sign of the gradient, weaker the more often it turned."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("turns", initial="turns"),)

    def move(
        self, parameter: Value, gradient: Value, slots: Any, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        turns = slots["turns"] + 1.0
        step = hyper.cast(hyper["learning_rate"]) * nb.ops.sign(gradient) / turns
        return parameter - step, {"turns": turns}


def test_a_rule_of_ones_own() -> None:
    found = trajectory(Optimizer(Signs(), 0.5, {"turns": 3.0}))
    weights = 0.5 / np.arange(4, 14)[:, None]
    expected = START - np.cumsum(weights * np.sign(GRADIENTS), axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_clipping_leaves_what_is_small_enough() -> None:
    for clip in ("clipnorm", "clipvalue", "global_clipnorm"):
        np.testing.assert_allclose(
            trajectory(SGD(0.1, **{clip: 100.0})), trajectory(SGD(0.1)), rtol=1e-12
        )


def test_a_gradient_of_zero_has_a_norm_to_clip() -> None:
    steps = Steps(SGD(0.1, clipnorm=1.0), {"p": START})
    np.testing.assert_array_equal(steps.take([np.zeros(7)])[0], START)


def test_learning_rate_reads_and_writes_one_variable() -> None:
    optimizer = SGD(0.1)
    assert optimizer.learning_rate == 0.1
    optimizer.learning_rate = 0.3
    assert optimizer.learning_rate == optimizer.rate.numpy() == 0.3
    with pytest.raises(ArgumentError):
        optimizer.learning_rate = -1


def test_a_schedule_is_read_and_not_written() -> None:
    optimizer = SGD(ExponentialDecay(0.5, decay_steps=1, decay_rate=0.5))
    optimizer.iterations.assign(2)
    assert optimizer.learning_rate == 0.125
    with pytest.raises(ArgumentError, match="follows a schedule"):
        optimizer.learning_rate = 0.1


def test_a_function_is_asked_before_each_step() -> None:
    rates = iter([0.5, 0.25, 0.125, 1.0])
    model = nb.Sequential([nb.Input((1,)), Dense(1, kernel_initializer="ones", use_bias=False)])
    model.compile(SGD(lambda: next(rates)), lambda y, x: x, device="cpu")
    x = np.ones((6, 1), np.float32)
    model.fit(x, x, batch_size=2, verbose=0)
    assert model.get_weights()[0] == 1 - (0.5 + 0.25 + 0.125)
    assert next(rates) == 1.0
    model.optimizer.learning_rate = 2.0
    model.train_on_batch(x, x)
    assert model.get_weights()[0] == 1 - 0.875 - 2
    model.compile(SGD(lambda: -1.0), "mse", device="cpu")
    with pytest.raises(ArgumentError, match="learning_rate"):
        model.train_on_batch(x, x)


def test_restarts_are_not_late() -> None:
    # In floating point log(3 ** 5) / log(3) is less than 5.
    schedule = CosineDecayRestarts(1.0, first_decay_steps=2, t_mul=3.0)
    for restarts in range(12):
        assert schedule(3**restarts - 1) == pytest.approx(1.0, abs=1e-6)


def test_names() -> None:
    for name in ("SGD", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Adagrad", "Adadelta"):
        assert type(optimizers.get(name)) is getattr(optimizers, name)
        assert type(optimizers.get(name.lower())) is getattr(optimizers, name)
    own = SGD(0.1)
    assert optimizers.get(own) is own
    with pytest.raises(ArgumentError, match=r"optimizer, got 'sdg', .* Nearest: 'sgd'"):
        optimizers.get("SDG")


WRONG: list[Callable[[], object]] = [
    lambda: SGD(-0.1),
    lambda: SGD(float("nan")),
    lambda: SGD(0.1, momentum=1.5),
    lambda: SGD(0.1, nesterov=True),
    lambda: SGD(0.1, weight_decay=-1),
    lambda: SGD(0.1, clipnorm=0.0),
    lambda: SGD(0.1, clipnorm=1.0, clipvalue=1.0),
    lambda: SGD(0.1, use_ema=True, ema_momentum=1.1),
    lambda: SGD(0.1, ema_overwrite_frequency=0),
    lambda: SGD(0.1, gradient_accumulation_steps=1),
    lambda: Adam(beta_1=1.0),
    lambda: Adam(epsilon=0),
    lambda: AdamW(weight_decay=-0.1),
    lambda: Lion(beta_1=0.0),
    lambda: ExponentialDecay(0.1, decay_steps=0, decay_rate=0.5),
    lambda: PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
    lambda: CosineDecayRestarts(0.1, first_decay_steps=2, t_mul=0.5),
]


@pytest.mark.parametrize("make", WRONG)
def test_wrong_arguments(make: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError):
        make()


def test_what_is_not_supported_is_named() -> None:
    with pytest.raises(NotImplementedError, match="loss_scale_factor"):
        SGD(0.1, loss_scale_factor=2.0)


TRAINED: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9, "clipnorm": 1.0}),
    ("Adam", {"amsgrad": True, "gradient_accumulation_steps": 2}),
    ("Nadam", {"use_ema": True, "ema_momentum": 0.5}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "global_clipnorm": 1.0}),
    ("Muon", {"clipvalue": 0.5}),
]


@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.simulator, id="simulator")]
)
@pytest.mark.parametrize(("name", "arguments"), TRAINED)
def test_programs_take_the_steps_of_the_references(
    name: str, arguments: dict[str, Any], device: str
) -> None:
    """`fit` on one sample, far from its targets: the gradient is the same at each step."""
    x = RNG.normal(size=(1, 4)).astype(np.float32)
    rate = ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5)
    make = getattr(optimizers, name)
    model = nb.Sequential([nb.Input((4,)), Dense(3)])
    starts = {path: v.numpy() for path, v in model.trainable_variables().items()}
    steps = Steps(make(rate, **arguments), starts)
    model.compile(make(rate, **arguments), "mae", device=device)
    model.fit(x, np.full((1, 3), -1e3, np.float32), batch_size=1, epochs=5, verbose=0)
    gradients = [np.repeat(x.T / 3, 3, axis=1), np.full(3, 1 / 3, np.float32)]
    for _ in range(5):
        steps.take(gradients)
    for found, expected in zip(model.get_weights(), steps.finish(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_every_parameter_moves_by_its_own_gradient() -> None:
    starts = {"a": RNG.normal(size=(3, 2)), "b": RNG.normal(size=5), "c": np.array(2.0)}
    together = Steps(Adam(0.1), starts)
    alone = {path: Steps(Adam(0.1), {path: start}) for path, start in starts.items()}
    for gradients in gradients_like(starts, np.random.default_rng(1), 4):
        found = together.take(gradients)
        for array, gradient, path in zip(found, gradients, starts, strict=True):
            np.testing.assert_array_equal(array, alone[path].take([gradient])[0])
