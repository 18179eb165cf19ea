"""Averaged models beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numbanet
from numbanet import nn, optim
from numbanet.errors import ArgumentError
from numbanet.optim import swa_utils

torch = pytest.importorskip("torch")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("AveragedModel", {}),
    ("AveragedModel", {"use_buffers": True}),
    ("AveragedModel", {"multi_avg_fn": "get_ema_multi_avg_fn"}),
    ("AveragedModel", {"avg_fn": "get_ema_avg_fn"}),
]


def net(lib: Any) -> Any:
    model = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Linear(4, 1))
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        numbers = rng.normal(size=tuple(parameter.shape)).astype(np.float32)
        parameter.data.copy_(lib.from_numpy(numbers))
    return model


def trained(lib: Any, arguments: dict[str, Any]) -> list[np.ndarray]:
    utils = lib.optim.swa_utils
    given = {
        key: getattr(utils, value)(0.9) if isinstance(value, str) else value
        for key, value in arguments.items()
    }
    model = net(lib)
    averaged = utils.AveragedModel(model, **given)
    optimizer = lib.optim.SGD(model.parameters(), lr=0.1)
    scheduler = utils.SWALR(optimizer, swa_lr=0.02, anneal_epochs=3)
    batches = [
        lib.from_numpy(np.random.default_rng(i).normal(size=(5, 3)).astype(np.float32))
        for i in range(2)
    ]
    rates = []
    for _ in range(3):
        for x in batches:
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        averaged.update_parameters(model)
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    utils.update_bn([[x, None] for x in batches], averaged)
    state = averaged.state_dict()
    results = [np.array(rates), averaged.eval()(batches[0]).detach().numpy()]
    return [*results, *(state[key].numpy() for key in sorted(state))]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_averages_are_pytorchs(name, arguments):
    assert hasattr(swa_utils, name)
    for one, other in zip(trained(numbanet, arguments), trained(torch, arguments), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, 1e-5, 1e-5)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_the_rate_goes_to_its_end_as_pytorchs_does(strategy, epochs):
    def rates(lib: Any) -> list[float]:
        weight = lib.nn.Parameter(lib.ones(2))
        optimizer = lib.optim.SGD([weight], lr=0.5)
        first = lib.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        scheduler = lib.optim.swa_utils.SWALR(optimizer, 0.05, epochs, strategy)
        found = []
        for epoch in range(8):
            optimizer.step()
            (first if epoch < 2 else scheduler).step()
            found.append(optimizer.param_groups[0]["lr"])
        return found

    np.testing.assert_allclose(rates(numbanet), rates(torch), 1e-12)


def test_bad_arguments():
    optimizer = optim.SGD([nn.Parameter(np.ones(2))], lr=0.1)
    with pytest.raises(ArgumentError, match="anneal_strategy"):
        swa_utils.SWALR(optimizer, 0.1, anneal_strategy="step")
    with pytest.raises(ArgumentError, match="anneal_epochs"):
        swa_utils.SWALR(optimizer, 0.1, anneal_epochs=-1)
    with pytest.raises(ArgumentError, match="decay"):
        swa_utils.get_ema_avg_fn(1.5)
    average = swa_utils.get_swa_avg_fn()
    with pytest.raises(ArgumentError, match="both"):
        swa_utils.AveragedModel(
            nn.Linear(1, 1), None, average, swa_utils.get_swa_multi_avg_fn()
        )
