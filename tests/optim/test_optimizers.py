"""Optimizers against PyTorch's: twenty steps, options that change, and each other's files."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from numbanet import optim
from numbanet.errors import ArgumentError
from numbanet.nn.parameter import Parameter
from numbanet.tensors.tensor import Tensor
from tests.optim.twins import TOLERANCE, Twins, scalars_like

torch = pytest.importorskip("torch")

DECAY = {"weight_decay": 0.1}
DECOUPLED = {**DECAY, "decoupled_weight_decay": True}
ODD_ADAM = {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-3}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, **DECAY, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, **DECAY}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, **DECAY}),
    ("Adam", {}),
    ("Adam", {**ODD_ADAM, **DECAY}),
    ("Adam", {**ODD_ADAM, "amsgrad": True, "maximize": True}),
    ("Adam", {**ODD_ADAM, **DECOUPLED}),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.0)}),
    ("AdamW", {}),
    ("AdamW", {**ODD_ADAM, **DECAY, "amsgrad": True}),
    ("AdamW", {**ODD_ADAM, "weight_decay": 0, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {**ODD_ADAM, **DECAY, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {**ODD_ADAM, **DECAY, "momentum_decay": 0.3}),
    ("NAdam", {**ODD_ADAM, **DECOUPLED, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {**ODD_ADAM, **DECAY}),
    ("RAdam", {**ODD_ADAM, **DECOUPLED, "maximize": True}),
    ("RAdam", {"lr": 0.1, "betas": (0.5, 0.6)}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.8, "eps": 1e-3, "momentum": 0.9, "centered": True, **DECAY}),
    ("RMSprop", {"momentum": 0.5, "maximize": True}),
    ("RMSprop", {"alpha": 0.7, "centered": True}),
    ("Adagrad", {}),
    (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.4, "eps": 1e-3, **DECAY},
    ),
    ("Adagrad", {"maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.6, "eps": 1e-3, **DECAY, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.2, "alpha": 0.5, "t0": 5, **DECAY, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.7), "step_sizes": (0.05, 0.2), "maximize": True}),
]
ONE_OF_EACH = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("Adam", {**ODD_ADAM, "amsgrad": True}),
    ("AdamW", ODD_ADAM),
    ("Adamax", ODD_ADAM),
    ("NAdam", {**ODD_ADAM, "momentum_decay": 0.3}),
    ("RAdam", ODD_ADAM),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.2}),
    ("Adadelta", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.2, "t0": 5}),
    ("Rprop", {"lr": 0.1}),
]


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize(("name", "options"), CASES)
def test_twenty_steps(name: str, options: dict[str, Any], dtype: str) -> None:
    with scalars_like(dtype):
        twins = Twins(name, options, dtype)
        for _ in range(20):
            twins.step()
        twins.check()


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH)
def test_groups_have_options_of_their_own(name: str, options: dict[str, Any]) -> None:
    own = {"lr": 0.02} if name == "Rprop" else {"lr": 0.02, "weight_decay": 0.3}
    twins = Twins(name, {**options, "groups": own})
    for _ in range(4):
        twins.step()
    twins.check()


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH)
def test_parameters_without_a_gradient_stay(name: str, options: dict[str, Any]) -> None:
    twins = Twins(name, options)
    for without in ((), (1,), (0, 2), (1,), (0, 1, 2, 3), (), (3,)):
        twins.step(without)
        twins.check()


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH)
@pytest.mark.parametrize("direction", ["from PyTorch", "to PyTorch"])
def test_a_checkpoint_goes_on_on_the_other_side(
    name: str, options: dict[str, Any], direction: str
) -> None:
    twins = Twins(name, options)
    for without in ((), (2,), ()):
        twins.step(without)
    source, target = (1, 0) if direction == "from PyTorch" else (0, 1)
    libraries = [(optim, twins.ours), (torch.optim, twins.theirs)]
    state = twins.optimizers[source].state_dict()
    if direction == "to PyTorch":
        state = as_torch(state)
    # With other numbers than the state's, which it has to replace.
    twins.options = {"lr": 0.5}
    twins.optimizers[target] = twins.make(*libraries[target])
    twins.optimizers[target].load_state_dict(copy.deepcopy(state))
    for without in ((), (1,), ()):
        twins.step(without)
    twins.check()


def as_torch(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: as_torch(value) for key, value in state.items()}
    if isinstance(state, list):
        return [as_torch(each) for each in state]
    return torch.tensor(state.numpy()) if isinstance(state, Tensor) else state


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH)
def test_the_state_is_pytorchs(name: str, options: dict[str, Any]) -> None:
    twins = Twins(name, options)
    for _ in range(3):
        twins.step((1,))
    ours, theirs = (each.state_dict() for each in twins.optimizers)
    assert set(ours["param_groups"][0]) == set(theirs["param_groups"][0])
    assert ours["param_groups"][0]["params"] == [0, 1, 2, 3]
    for position, kept in ours["state"].items():
        expected = theirs["state"][position]
        assert set(kept) == set(expected)
        for key, value in kept.items():
            other = np.asarray(expected[key])
            assert (value.numpy().shape, value.numpy().dtype) == (other.shape, other.dtype)
            np.testing.assert_allclose(value.numpy(), other, rtol=1e-5, atol=1e-6)


def test_numbers_change_between_steps() -> None:
    twins = Twins("Adam", {"groups": {"betas": (0.8, 0.9)}})
    changes: list[dict[str, Any]] = [
        {"lr": 0.1},
        {"betas": (0.5, 0.9)},
        {"betas": (0.6, 0.99), "eps": 0.1},
        {"weight_decay": 0.1},
        {"weight_decay": 0.2},
        {"maximize": True},
        {"weight_decay": 0.0},
    ]
    for change in changes:
        twins.set(0, **change)
        twins.step()
        twins.check()


def test_structure_changes_between_steps() -> None:
    twins = Twins("SGD", {"lr": 0.1})
    for change in ({}, {"momentum": 0.9}, {}, {"nesterov": True}, {"momentum": 0.5}):
        twins.set(0, **change)
        twins.step()
        twins.check()


def test_schedulers_reach_the_steps() -> None:
    twins = Twins("SGD", {"lr": 0.1, "momentum": 0.9})
    schedulers = [
        library.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=8)
        for library, optimizer in zip((optim, torch.optim), twins.optimizers, strict=True)
    ]
    for _ in range(7):
        twins.step()
        for scheduler in schedulers:
            scheduler.step()
    twins.check()


def test_a_group_is_added() -> None:
    twins = Twins("Adam", {"lr": 0.1})
    twins.step()
    more = np.ones(3, np.float32)
    mine, other = Parameter(more), torch.nn.Parameter(torch.tensor(more))
    for optimizer, parameter in zip(twins.optimizers, (mine, other), strict=True):
        optimizer.add_param_group({"params": parameter, "lr": 0.2})
    for _ in range(2):
        mine.grad, other.grad = Tensor.wrap(more.copy()), torch.tensor(more)
        twins.step()
    twins.check()
    np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-6)


def test_dtypes_mix_in_a_group() -> None:
    numbers = [np.ones(3, np.float32), np.ones(2, np.float64)]
    parameters = [Parameter(each) for each in numbers]
    optimizer = optim.SGD(parameters, lr=0.5)
    for parameter, each in zip(parameters, numbers, strict=True):
        parameter.grad = Tensor.wrap(each)
    optimizer.step()
    for parameter, each in zip(parameters, numbers, strict=True):
        np.testing.assert_array_equal(parameter.detach().numpy(), 0.5 * each)


def test_names_of_parameters_are_kept() -> None:
    first, second = (Parameter(np.ones(2, np.float32)) for _ in range(2))
    optimizer = optim.SGD([("first", first), ("second", second)])
    assert optimizer.param_groups[0]["param_names"] == ["first", "second"]
    assert optimizer.param_groups[0]["params"] == [first, second]


def test_bare_tensors_train() -> None:
    weight = Tensor.wrap(np.array([2.0], np.float32), True)
    optimizer = optim.SGD([weight], lr=0.25)
    for _ in range(2):
        optimizer.zero_grad()
        (weight * weight).sum().backward()
        optimizer.step()
    assert weight.item() == 0.5


def test_a_closure_computes_the_loss() -> None:
    weight = Parameter(np.array([2.0], np.float32))
    optimizer = optim.SGD([weight], lr=0.25)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert weight.item() == 1.0


def test_zero_grad_forgets_or_zeroes() -> None:
    weight, idle = (Parameter(np.ones(2, np.float32)) for _ in range(2))
    optimizer = optim.SGD([weight, idle], lr=1.0, momentum=0.5)
    weight.grad = Tensor.wrap(np.ones(2, np.float32))
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(weight.grad.numpy(), [0, 0])
    assert idle.grad is None
    optimizer.step()
    np.testing.assert_array_equal(weight.detach().numpy(), [-0.5, -0.5])
    optimizer.zero_grad()
    assert weight.grad is None


def test_text_is_pytorchs() -> None:
    twins = Twins("Adam", {"groups": {"lr": 0.5}})
    ours, theirs = map(repr, twins.optimizers)
    assert ours == theirs


IMPLEMENTATIONS = [
    ("SGD", {"foreach": True}),
    ("Adam", {"fused": True}),
    ("AdamW", {"capturable": True}),
    ("RMSprop", {"differentiable": True}),
    ("Adam", {"lr": Tensor.wrap(np.array(0.1, np.float32))}),
]


@pytest.mark.parametrize(("name", "options"), IMPLEMENTATIONS)
def test_what_is_not_supported_is_named(name: str, options: dict[str, Any]) -> None:
    (option,) = options
    with pytest.raises(NotImplementedError, match=option):
        getattr(optim, name)([Parameter(np.ones(2, np.float32))], **options)


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": -0.1}),
    ("SGD", {"lr": float("nan")}),
    ("SGD", {"momentum": -1}),
    ("SGD", {"weight_decay": -1}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("Adam", {"betas": (1.0, 0.9)}),
    ("Adam", {"betas": (0.9, -0.1)}),
    ("Adam", {"eps": -1e-8}),
    ("NAdam", {"momentum_decay": -1}),
    ("RMSprop", {"alpha": -1}),
    ("Adagrad", {"initial_accumulator_value": -1}),
    ("Adadelta", {"rho": 1.1}),
    ("Rprop", {"etas": (1.5, 1.2)}),
]


@pytest.mark.parametrize(("name", "options"), WRONG)
def test_wrong_numbers(name: str, options: dict[str, Any]) -> None:
    for library, parameter in (
        (optim, Parameter(np.ones(2, np.float32))),
        (torch.optim, torch.nn.Parameter(torch.ones(2))),
    ):
        if library is optim or options.get("lr") == options.get("lr"):
            with pytest.raises(ValueError):  # noqa: PT011
                getattr(library, name)([parameter], **options)


def test_wrong_parameters() -> None:
    weight = Parameter(np.ones(2, np.float32))
    for wrong in ([], [{"params": [weight]}, {"params": [weight]}], [weight, weight]):
        with pytest.raises(ArgumentError):
            optim.SGD(wrong)
    with pytest.raises(ArgumentError, match="result"):
        optim.SGD([weight * 2.0])
    for wrong in (weight, [1.0], [{"params": {weight}}]):
        with pytest.raises(TypeError):
            optim.SGD(wrong)


def test_a_checkpoint_of_something_else() -> None:
    weight = Parameter(np.ones(2, np.float32))
    weight.grad = Tensor.wrap(np.ones(2, np.float32))
    optimizer = optim.Adam([weight])
    optimizer.step()
    state = optimizer.state_dict()
    with pytest.raises(ArgumentError, match="other parameter groups"):
        optim.Adam([weight, Parameter(np.ones(2, np.float32))]).load_state_dict(state)
    other = optim.Adam([Parameter(np.ones(3, np.float32))])
    with pytest.raises(ArgumentError, match="exp_avg"):
        other.load_state_dict(state)
    assert other.state_dict()["state"] == {}
