"""Optimizers: rules on values against the formulas in NumPy, and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from numbanet import ops, optimizers
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.optimizers import SGD, Adam, AdamW, Optimizer, Rates
from numbanet.testing import evaluate

F64 = DType.FLOAT64


def trajectory(optimizer: Optimizer, start: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The parameter after each gradient, by evaluating the rule's graph."""
    parameter, gradient, rate, step = (
        ops.input_value(name, shape, F64)
        for name, shape in (("p", start.shape), ("g", start.shape), ("lr", ()), ("t", ()))
    )
    slots = tuple(ops.input_value(name, start.shape, F64) for name in optimizer.slots)
    new, new_slots = optimizer.update(parameter, gradient, slots, Rates(rate, step))
    arrays = [start, *(np.zeros_like(start) for _ in slots)]
    path = []
    for number, each in enumerate(gradients, start=1):
        feeds: dict[Value | str, object] = dict(zip((parameter, *slots), arrays, strict=True))
        feeds |= {gradient: each, rate: optimizer.learning_rate, step: float(number)}
        arrays = evaluate([new, *new_slots], feeds)  # type: ignore[arg-type]
        path.append(arrays[0])
    return np.stack(path)


RNG = np.random.default_rng(0)
START = RNG.normal(size=7)
GRADIENTS = RNG.normal(size=(10, 7))


def test_plain_descent() -> None:
    expected = START - 0.5 * np.cumsum(GRADIENTS, axis=0)
    np.testing.assert_allclose(trajectory(SGD(0.5), START, GRADIENTS), expected, rtol=1e-12)


CASES: dict[str, tuple[Callable[[], Optimizer], str, dict[str, object]]] = {
    "sgd": (lambda: SGD(0.25), "SGD", {"lr": 0.25}),
    "momentum": (lambda: SGD(0.125, 0.9), "SGD", {"lr": 0.125, "momentum": 0.9}),
    "nesterov and decay": (
        lambda: SGD(0.125, 0.9, nesterov=True, weight_decay=0.01),
        "SGD",
        {"lr": 0.125, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    "adam": (lambda: Adam(0.0625), "Adam", {"lr": 0.0625, "eps": 1e-7}),
    "adamw": (
        lambda: AdamW(0.0625, weight_decay=0.1),
        "AdamW",
        {"lr": 0.0625, "eps": 1e-7, "weight_decay": 0.1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule_follows_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    make, peer, arguments = CASES[name]
    parameter = torch.nn.Parameter(torch.tensor(START))
    other = getattr(torch.optim, peer)([parameter], **arguments)
    path = []
    for gradient in GRADIENTS:
        parameter.grad = torch.tensor(gradient)
        other.step()
        path.append(parameter.detach().numpy().copy())
    found = trajectory(make(), START, GRADIENTS)
    np.testing.assert_allclose(found, np.stack(path), rtol=1e-9, atol=1e-12)


def test_learning_rate_reads_and_writes_one_variable() -> None:
    optimizer = SGD(0.5)
    optimizer.learning_rate = 0.25
    assert optimizer.learning_rate == 0.25
    assert optimizer.rate.numpy() == np.float32(0.25)
    with pytest.raises(ArgumentError):
        optimizer.learning_rate = -1


def test_names() -> None:
    assert isinstance(optimizers.get("sgd"), SGD)
    assert isinstance(optimizers.get("Adam"), Adam)
    own = SGD(0.1)
    assert optimizers.get(own) is own
    with pytest.raises(ArgumentError, match="unknown optimizer, got 'sdg', expected sgd, adam"):
        optimizers.get("sdg")


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(-0.1),
        lambda: SGD(0.1, momentum=1.5),
        lambda: SGD(0.1, nesterov=True),
        lambda: SGD(0.1, weight_decay=-1),
        lambda: Adam(beta_1=1.0),
        lambda: Adam(epsilon=0),
    ],
)
def test_wrong_arguments(make: Callable[[], Optimizer]) -> None:
    with pytest.raises(ArgumentError):
        make()
