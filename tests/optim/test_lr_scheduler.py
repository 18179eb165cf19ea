"""Learning-rate schedulers against PyTorch's: the same floats, epoch after epoch."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest

from numbanet import optim
from numbanet.errors import ArgumentError
from numbanet.tensors.tensor import Tensor

torch = pytest.importorskip("torch")


class Halving:
    """A function with a state of its own, as state dicts keep it."""

    def __init__(self) -> None:
        self.base = 0.5

    def __call__(self, epoch: int) -> float:
        return self.base ** (epoch / 10)


def sequence(lib: Any, optimizer: Any) -> Any:
    s = lib.lr_scheduler
    parts = [
        s.ConstantLR(optimizer, factor=0.1, total_iters=4),
        s.ExponentialLR(optimizer, gamma=0.9),
        s.CosineAnnealingLR(optimizer, T_max=5),
    ]
    return s.SequentialLR(optimizer, parts, milestones=[6, 14])


def chain(lib: Any, optimizer: Any) -> Any:
    s = lib.lr_scheduler
    parts = [s.LinearLR(optimizer, 0.2, total_iters=7), s.StepLR(optimizer, 5, 0.7)]
    return s.ChainedScheduler(parts, optimizer=optimizer)


def nested(lib: Any, optimizer: Any) -> Any:
    s = lib.lr_scheduler
    parts = [
        s.ChainedScheduler([s.ConstantLR(optimizer, 0.5, 3), s.ExponentialLR(optimizer, 0.8)]),
        s.PolynomialLR(optimizer, total_iters=9, power=2.0),
    ]
    with warnings.catch_warnings():
        # Of steps before the optimizer's, which are its own doing.
        warnings.simplefilter("ignore", UserWarning)
        return s.SequentialLR(optimizer, parts, milestones=[5])


CASES: list[tuple[str, Any]] = [
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (epoch + 1), Halving()]}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.9 if epoch % 2 else 1.0}),
    ("StepLR", {"step_size": 4}),
    ("StepLR", {"step_size": 1, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [3, 3, 8, 20], "gamma": 0.3}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.7, "total_iters": 9}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.9, "end_factor": 0.1, "total_iters": 11}),
    ("ExponentialLR", {"gamma": 0.93}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 12, "power": 1.7}),
    ("CosineAnnealingLR", {"T_max": 6}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.003}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.001}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 31}),
    (
        "OneCycleLR",
        {
            "max_lr": [0.5, 0.1],
            "epochs": 4,
            "steps_per_epoch": 8,
            "anneal_strategy": "linear",
            "three_phase": True,
            "base_momentum": [0.8, 0.7],
            "max_momentum": 0.9,
            "pct_start": 0.4,
        },
    ),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 40, "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4}),
    (
        "CyclicLR",
        {
            "base_lr": [0.01, 0.02],
            "max_lr": [0.1, 0.3],
            "step_size_up": 3,
            "step_size_down": 5,
            "mode": "triangular2",
        },
    ),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 5,
            "mode": "exp_range",
            "gamma": 0.97,
            "cycle_momentum": False,
        },
    ),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 5,
            "scale_fn": lambda x: 1 / (1 + x),
            "scale_mode": "iterations",
        },
    ),
    ("SequentialLR", sequence),
    ("ChainedScheduler", chain),
    ("SequentialLR", nested),
]
EPOCHS = 30


def optimizer_of(lib: Any, kind: str) -> Any:
    """Two parameter groups with learning rates of their own."""
    if lib is torch.optim:
        first, second = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    else:
        first, second = (Tensor.wrap(np.zeros(2, np.float32), True) for _ in range(2))
    groups = [{"params": [first]}, {"params": [second], "lr": 0.03}]
    options: dict[str, Any] = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(lib, kind)(groups, lr=0.07, **options)


def make(lib: Any, name: str, arguments: Any, kind: str = "SGD") -> Any:
    optimizer = optimizer_of(lib, kind)
    if callable(arguments):
        return arguments(lib, optimizer)
    return getattr(lib.lr_scheduler, name)(optimizer, **copy.deepcopy(arguments))


def reading(scheduler: Any) -> list[Any]:
    """All that the scheduler has set: rates, momenta, and the rates that it says it set."""
    groups = scheduler.optimizer.param_groups
    momenta = [group.get("momentum", group.get("betas")) for group in groups]
    return [[group["lr"] for group in groups], momenta, list(scheduler.get_last_lr())]


def advance(scheduler: Any) -> list[Any]:
    scheduler.optimizer.step()
    scheduler.step()
    return reading(scheduler)


@pytest.mark.parametrize(("name", "arguments"), CASES)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_rates_are_pytorchs(name: str, arguments: Any, kind: str) -> None:
    ours, theirs = (make(lib, name, arguments, kind) for lib in (optim, torch.optim))
    assert reading(ours) == reading(theirs)
    for _ in range(EPOCHS):
        assert advance(ours) == advance(theirs)
        if name != "ChainedScheduler":
            assert ours.last_epoch == theirs.last_epoch


@pytest.mark.parametrize(("name", "arguments"), CASES)
@pytest.mark.parametrize("source", [optim, torch.optim], ids=["own", "pytorch"])
def test_a_state_dict_goes_on(name: str, arguments: Any, source: Any) -> None:
    first = make(source, name, arguments)
    for _ in range(9):
        advance(first)
    kept = copy.deepcopy(first.state_dict())
    second = make(optim, name, arguments)
    second.load_state_dict(kept)
    for group, old in zip(
        second.optimizer.param_groups, first.optimizer.param_groups, strict=True
    ):
        group.update({key: old[key] for key in old if key != "params"})
    for _ in range(12):
        assert advance(second) == advance(first)


def closed_form(lib: Any, name: str, arguments: Any, epochs: list[int]) -> list[Any]:
    scheduler = make(lib, name, arguments)
    found = []
    for epoch in epochs:
        scheduler.optimizer.step()
        scheduler._update_lr(epoch)
        found.append(reading(scheduler))
    return found


@pytest.mark.parametrize(
    ("name", "arguments"), [case for case in CASES if not callable(case[1])]
)
def test_rates_of_any_epoch(name: str, arguments: Any) -> None:
    epochs = [3, 11, 4, 0, 27]
    ours, theirs = (closed_form(lib, name, arguments, epochs) for lib in (optim, torch.optim))
    assert ours == theirs


def test_a_deprecated_step_to_an_epoch_warns() -> None:
    scheduler = make(optim, "StepLR", {"step_size": 2})
    scheduler.optimizer.step()
    with pytest.warns(UserWarning, match="deprecated"):
        scheduler.step(4)
    assert scheduler.get_last_lr() == [0.07 * 0.1**2, 0.03 * 0.1**2]


@pytest.mark.parametrize("t_mult", [1, 2])
def test_warm_restarts_go_to_fractions_of_epochs(t_mult: int) -> None:
    arguments = {"T_0": 3, "T_mult": t_mult}
    pair = [make(lib, "CosineAnnealingWarmRestarts", arguments) for lib in (optim, torch.optim)]
    for epoch in (0.5, 1.25, 3.0, 7.5, 12.25, 2.0):
        for scheduler in pair:
            scheduler.step(epoch)
        assert reading(pair[0]) == reading(pair[1])


METRICS = [5, 4, 4, 4.1, 3.9999, 3, 3, 3, 3, 3, 2, 2.5, 2.4, 2.3, 2.2, 2.1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1},
        {"patience": 2, "factor": 0.5, "threshold": 0.3, "threshold_mode": "abs"},
        {"mode": "max", "patience": 0, "cooldown": 2},
        {"mode": "max", "patience": 1, "threshold_mode": "abs", "min_lr": [0.01, 0.02]},
        {"patience": 0, "factor": 0.9, "eps": 0.004},
    ],
)
def test_a_plateau_is_found_where_pytorch_finds_it(arguments: dict[str, Any]) -> None:
    ours, theirs = (make(lib, "ReduceLROnPlateau", arguments) for lib in (optim, torch.optim))
    for epoch, metric in enumerate(METRICS):
        if epoch == 8:
            fresh = make(optim, "ReduceLROnPlateau", arguments)
            fresh.load_state_dict(theirs.state_dict())
            for position, group in enumerate(fresh.optimizer.param_groups):
                group["lr"] = ours.optimizer.param_groups[position]["lr"]
            ours = fresh
        ours.step(metric)
        theirs.step(torch.tensor(float(metric)))
        assert reading(ours) == reading(theirs)
        assert (ours.best, ours.num_bad_epochs) == (theirs.best, theirs.num_bad_epochs)


def test_resuming_takes_an_initial_rate() -> None:
    with pytest.raises(KeyError, match="initial_lr"):
        optim.lr_scheduler.StepLR(optimizer_of(optim, "SGD"), 2, last_epoch=3)
    pair = []
    for lib in (optim, torch.optim):
        optimizer = optimizer_of(lib, "SGD")
        for group in optimizer.param_groups:
            group["initial_lr"] = 2 * group["lr"]
        scheduler = lib.lr_scheduler.CosineAnnealingLR(optimizer, 6, last_epoch=3)
        pair.append([reading(scheduler), *(advance(scheduler) for _ in range(5))])
    assert pair[0] == pair[1]


def test_a_scheduler_before_the_optimizer_warns() -> None:
    scheduler = make(optim, "StepLR", {"step_size": 2})
    with pytest.warns(UserWarning, match="before the optimizer"):
        scheduler.step()


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("LambdaLR", {"lr_lambda": [abs]}),
    ("ConstantLR", {"factor": 1.5}),
    ("LinearLR", {"start_factor": 0.0}),
    ("LinearLR", {"end_factor": -0.1}),
    ("CosineAnnealingWarmRestarts", {"T_0": 0}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 1.5}),
    ("OneCycleLR", {"max_lr": 0.1}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 10, "pct_start": 2.0}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 10, "anneal_strategy": "sine"}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.2, "mode": "square"}),
    ("ReduceLROnPlateau", {"factor": 1.0}),
    ("ReduceLROnPlateau", {"mode": "least"}),
    ("ReduceLROnPlateau", {"min_lr": [0.1]}),
]


@pytest.mark.parametrize(("name", "arguments"), WRONG)
def test_wrong_arguments(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        make(optim, name, arguments)


def test_a_cycle_of_momentum_takes_an_optimizer_that_has_it() -> None:
    optimizer = optimizer_of(optim, "Adagrad")
    with pytest.raises(ArgumentError, match="cycle_momentum=False"):
        optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.2)
    optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.2, cycle_momentum=False)


def test_a_cycle_ends() -> None:
    scheduler = make(optim, "OneCycleLR", {"max_lr": 0.1, "total_steps": 3})
    for _ in range(3):
        advance(scheduler)
    with pytest.raises(ArgumentError, match="the cycle is over"):
        scheduler.step()


def test_combinations_check_what_they_hold() -> None:
    s, one, other = optim.lr_scheduler, optimizer_of(optim, "SGD"), optimizer_of(optim, "SGD")
    step, plateau = s.StepLR(one, 2), s.ReduceLROnPlateau(one)
    for wrong in ([], [step, plateau], [step, s.StepLR(other, 2)]):
        with pytest.raises(ArgumentError):
            s.ChainedScheduler(wrong)
    with pytest.raises(ArgumentError, match="milestone"):
        s.SequentialLR(one, [step, s.StepLR(one, 3)], milestones=[1, 2])
    with pytest.raises(TypeError, match="is not an optimizer"):
        s.StepLR(object(), 2)  # type: ignore[arg-type]
