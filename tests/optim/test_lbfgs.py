"""LBFGS beside PyTorch's: each point that it tries."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import numbanet
from numbanet import nn, optim
from numbanet.errors import ArgumentError

torch = pytest.importorskip("torch")

CASES = [
    ("LBFGS", {}),
    ("LBFGS", {"lr": 0.1, "max_iter": 4, "history_size": 2}),
    ("LBFGS", {"line_search_fn": "strong_wolfe"}),
    ("LBFGS", {"line_search_fn": "strong_wolfe", "lr": 5.0, "max_iter": 3, "history_size": 3}),
    ("LBFGS", {"line_search_fn": "strong_wolfe", "lr": 1e-3, "max_eval": 7}),
    ("LBFGS", {"tolerance_grad": 0.5, "line_search_fn": "strong_wolfe"}),
    ("LBFGS", {"tolerance_change": 1e-2}),
]


def rosenbrock(point: Any) -> Any:
    first, second = point[:-1], point[1:]
    return (100 * (second - first**2) ** 2 + (1 - first) ** 2).sum()


def wavy(point: Any) -> Any:
    return (point**2 + 3 * (2 * point).sin() + (point - 1) ** 4 / 5).sum()


def run(lib: Any, name: str, options: dict[str, Any], function: Any) -> list[Any]:
    """All losses that the closure computes, and the point at the end."""
    start = np.array([-1.2, 1.0, 0.5, 2.0])
    point = lib.nn.Parameter(lib.tensor(start))
    optimizer = getattr(lib.optim, name)([point], **options)
    losses: list[float] = []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = function(point)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(4):
        optimizer.step(closure)
    return [losses, point.detach().numpy()]


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("function", [rosenbrock, wavy])
def test_it_tries_the_points_that_pytorchs_tries(name, options, function):
    (found, point), (expected, theirs) = (
        run(lib, name, options, function) for lib in (numbanet, torch)
    )
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, 1e-6, 1e-9)
    np.testing.assert_allclose(point, theirs, 1e-6, 1e-9)


def fitted(lib: Any, steps: int = 5) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    x, y = (lib.from_numpy(rng.normal(size=(6, n))) for n in (3, 2))
    model = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.Tanh(), lib.nn.Linear(4, 2)).double()
    for parameter in model.parameters():
        numbers = rng.normal(size=tuple(parameter.shape))
        parameter.data.copy_(lib.from_numpy(np.asarray(numbers)))
    optimizer = lib.optim.LBFGS(model.parameters(), max_iter=3, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = lib.nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return model, optimizer, closure


def test_a_network_is_fitted_as_by_pytorch():
    (ours, mine, _), (theirs, peer, _) = fitted(numbanet), fitted(torch)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), 1e-6, 1e-8)
    kept, expected = (each.state_dict()["state"][0] for each in (mine, peer))
    assert kept.keys() >= expected.keys() - {"al"}
    assert (kept["n_iter"], kept["func_evals"]) == (expected["n_iter"], expected["func_evals"])
    np.testing.assert_allclose(kept["d"].numpy(), expected["d"].numpy(), 1e-4, 1e-6)


def test_training_goes_on_from_a_state_dict():
    model, optimizer, closure = fitted(numbanet, 2)
    weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    optimizer.step(closure)
    expected = [each.detach().numpy() for each in model.parameters()]
    model.load_state_dict(weights)
    optimizer.load_state_dict(state)
    optimizer.step(closure)
    for one, other in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other)


def test_what_it_cannot_do_is_refused():
    weight, other = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    optimizer: Any = optim.LBFGS([weight])
    with pytest.raises(ArgumentError, match="closure"):
        optimizer.step()
    with pytest.raises(ArgumentError, match="one parameter group"):
        optimizer.add_param_group({"params": [other]})
    with pytest.raises(ArgumentError, match="line_search_fn"):
        optim.LBFGS([weight], line_search_fn="armijo")
    with pytest.raises(ArgumentError, match="other parameters"):
        optim.LBFGS([weight, other]).load_state_dict(optimizer.state_dict())
