"""Weights that are computed of others, by hooks and by parametrizations, beside PyTorch's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import numbanet
from numbanet import nn
from numbanet.errors import ArgumentError
from numbanet.nn import utils
from tests.nn.parity import close

torch = pytest.importorskip("torch")

SERIES, IMAGES = (4, 3), (2, 2, 5, 4)

CASES = [
    # name, module, its arguments, shape of the input, arguments
    ("weight_norm", "Linear", (3, 2), SERIES, {}),
    ("weight_norm", "Linear", (3, 2), SERIES, {"dim": None}),
    ("weight_norm", "Linear", (3, 2), SERIES, {"dim": 1}),
    ("weight_norm", "Linear", (3, 2), SERIES, {"name": "bias"}),
    ("weight_norm", "Conv2d", (2, 3, (3, 2)), IMAGES, {}),
    ("weight_norm", "Conv2d", (2, 3, (3, 2)), IMAGES, {"dim": 1}),
    ("weight_norm", "ConvTranspose2d", (2, 3, 2), IMAGES, {}),
    ("spectral_norm", "Linear", (3, 2), SERIES, {"n_power_iterations": 3}),
    ("spectral_norm", "Linear", (3, 2), SERIES, {"dim": 1, "eps": 1e-3}),
    ("spectral_norm", "Conv2d", (2, 3, (3, 2)), IMAGES, {}),
    ("spectral_norm", "ConvTranspose2d", (2, 3, 2), IMAGES, {}),
]
NEW = [case for case in CASES if case[-1].keys() <= {"n_power_iterations"}]


def start(module: Any, state: dict[str, Any], lib: Any) -> Any:
    """``module`` with numbers; ``lib`` is where its tensors come from."""
    module.load_state_dict({key: lib.from_numpy(each.copy()) for key, each in state.items()})
    return module


def twins(make: Any) -> tuple[Any, Any]:
    """Ours and theirs, with the same numbers, of the same names and shapes."""
    theirs, ours = make(torch).double(), make(numbanet).double()
    state = {key: each.numpy() for key, each in theirs.state_dict().items()}
    found = {key: tuple(each.shape) for key, each in ours.state_dict().items()}
    assert found == {key: each.shape for key, each in state.items()}
    return start(ours, state, numbanet), theirs


def train(module: Any, lib: Any, shape: tuple[int, ...]) -> list[np.ndarray]:
    """What a module gives in three steps and afterwards, and its numbers then."""
    x = lib.from_numpy(np.random.default_rng(1).normal(size=shape))
    optimizer = lib.optim.SGD(module.parameters(), lr=0.05)
    results = []
    for _ in range(3):
        optimizer.zero_grad()
        y = module(x)
        y.square().mean().backward()
        optimizer.step()
        results.append(y)
    results.append(module.eval()(x))
    results += [each for _, each in sorted(module.state_dict().items())]
    results += [each.grad for _, each in sorted(module.named_parameters())]
    return [each.detach().numpy() for each in results]


def agree(ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
    found, expected = train(ours, numbanet, shape), train(theirs, torch, shape)
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        close(one, other, 1e-9, f"number {place}")


@pytest.mark.parametrize(("name", "kind", "given", "shape", "arguments"), CASES)
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_hooks_compute_what_pytorchs_do(name, kind, given, shape, arguments):
    def make(lib: Any) -> Any:
        return getattr(lib.nn.utils, name)(getattr(lib.nn, kind)(*given), **arguments)

    ours, theirs = twins(make)
    agree(ours, theirs, shape)
    named = {key: each for key, each in arguments.items() if key == "name"}
    for module, lib in ((ours, numbanet), (theirs, torch)):
        getattr(lib.nn.utils, f"remove_{name}")(module, **named)
    agree(ours, theirs, shape)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(("name", "kind", "given", "shape", "arguments"), NEW)
def test_parametrizations_compute_what_pytorchs_do(name, kind, given, shape, arguments):
    def make(lib: Any) -> Any:
        norm = getattr(lib.nn.utils.parametrizations, name)
        return norm(getattr(lib.nn, kind)(*given), **arguments)

    ours, theirs = twins(make)
    assert type(ours).__name__ == type(theirs).__name__
    agree(ours, theirs, shape)
    for module, lib in ((ours, numbanet), (theirs, torch)):
        parametrize = lib.nn.utils.parametrize
        assert parametrize.is_parametrized(module, "weight")
        assert not parametrize.is_parametrized(module, "bias")
        parametrize.remove_parametrizations(module, "weight")
        assert type(module).__name__ == kind
    agree(ours, theirs, shape)


def symmetric(lib: Any) -> Any:
    class Symmetric(lib.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, a: Any) -> Any:
            return a.triu()

    class Scale(lib.nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2

    layer = lib.nn.Linear(3, 3)
    lib.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer, Scale()


def test_parametrizations_of_ones_own():
    def make(lib: Any) -> Any:
        layer, scale = symmetric(lib)
        lib.nn.utils.parametrize.register_parametrization(layer, "weight", scale)
        return lib.nn.Sequential(layer, lib.nn.Tanh())

    ours, theirs = twins(make)
    agree(ours, theirs, SERIES)
    weight = ours[0].weight.detach().numpy()
    np.testing.assert_array_equal(weight, weight.T)
    with utils.parametrize.cached():
        assert ours[0].weight is ours[0].weight
    assert ours[0].weight is not ours[0].weight
    kept = copy.deepcopy(ours[0]).weight.detach().numpy()
    np.testing.assert_array_equal(kept, weight)
    assert utils.parametrize.type_before_parametrizations(ours[0]) is nn.Linear


def test_a_parametrized_tensor_can_be_assigned():
    def assigned(lib: Any) -> list[np.ndarray]:
        layer, _ = symmetric(lib)
        with lib.no_grad():
            layer.weight = lib.ones(3, 3) + lib.eye(3)
        return [
            each.detach().numpy()
            for each in (layer.weight, next(layer.parametrizations.parameters()))
        ]

    for one, other in zip(assigned(numbanet), assigned(torch), strict=True):
        np.testing.assert_array_equal(one, other)


def test_originals_may_come_back():
    layer = nn.Linear(3, 3)
    before = layer.weight.detach().numpy()
    utils.parametrizations.spectral_norm(layer)
    utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), before)
    assert type(layer) is nn.Linear
    assert not utils.parametrize.is_parametrized(layer)


def test_what_is_done_twice_or_not_at_all_is_refused():
    layer = utils.weight_norm(nn.Linear(3, 2))
    with pytest.raises(ArgumentError, match="already"):
        utils.weight_norm(layer)
    with pytest.raises(ArgumentError, match="not computed"):
        utils.remove_spectral_norm(layer)
    with pytest.raises(ArgumentError, match="positive"):
        utils.spectral_norm(nn.Linear(3, 2), n_power_iterations=0)
    assert utils.remove_weight_norm(layer) is layer
    plain = nn.Linear(3, 2)
    with pytest.raises(ArgumentError, match="not parametrized"):
        utils.parametrize.remove_parametrizations(plain, "weight")
    with pytest.raises(ArgumentError, match="no parameter"):
        utils.parametrize.register_parametrization(plain, "none", nn.Identity())
    with pytest.raises(ArgumentError, match="shape"):
        utils.parametrize.register_parametrization(plain, "weight", nn.Flatten(0))
    several = utils.parametrizations.weight_norm(nn.Linear(3, 2))
    with pytest.raises(ArgumentError, match="several"):
        utils.parametrize.remove_parametrizations(several, "weight", leave_parametrized=False)
    scaled: Any = utils.parametrize.register_parametrization(
        nn.Linear(3, 3), "weight", nn.Identity()
    )
    with pytest.raises(NotImplementedError, match="right_inverse"):
        scaled.weight = numbanet.zeros(3, 3)
