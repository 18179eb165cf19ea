"""State dicts: keys, reports, and numbers to and from PyTorch."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet.errors import NumbanetError, StateDictError
from numbanet.ir import DType
from numbanet.tensors.tensor import Tensor
from tests.nn.twins import BOTH, OURS, THEIRS, torch


def numbers_of(module: Any) -> dict[str, np.ndarray]:
    return {name: np.array(each.detach().numpy()) for name, each in module.state_dict().items()}


def other_numbers(module: Any) -> dict[str, np.ndarray]:
    """What the module could hold instead; the same for what it holds under two names."""
    return {name: np.asarray((3 * array + 2) % 7) for name, array in numbers_of(module).items()}


KEYS: list[dict[str, Any]] = [{}, {"prefix": "net."}, {"keep_vars": True}]


@pytest.mark.parametrize("arguments", KEYS, ids=str)
def test_keys_are_pytorchs(arguments: dict[str, Any]) -> None:
    ours, theirs = (list(lib.Net().state_dict(**arguments)) for lib in BOTH)
    assert ours == theirs


def test_destination_is_filled() -> None:
    for lib in BOTH:
        found = lib.Net().state_dict(prefix="a.")
        assert lib.Norm(2).state_dict(destination=found, prefix="b.") is found
        assert list(found)[-2:] == ["b.mean", "b.count"]


def test_values_are_the_modules_own_without_gradients() -> None:
    net = OURS.Net()
    state = net.state_dict()
    snapshot = copy.deepcopy(state)
    assert not state["own"].requires_grad
    assert net.state_dict(keep_vars=True)["own"] is net.own
    nn.init.ones_(net.own)
    np.testing.assert_array_equal(state["own"].numpy(), np.ones((2, 2)))
    np.testing.assert_array_equal(snapshot["own"].numpy(), np.zeros((2, 2)))


@pytest.mark.parametrize("kind", ["numpy", "numbanet", "torch", "torch parameter"])
def test_loading_takes_arrays_and_tensors(kind: str) -> None:
    net = OURS.Net()
    numbers = other_numbers(net)
    convert: dict[str, Callable[[np.ndarray], Any]] = {
        "numpy": np.asarray,
        "numbanet": lambda array: Tensor.wrap(array.copy()),
        "torch": torch.from_numpy,
        "torch parameter": lambda array: torch.nn.Parameter(
            torch.from_numpy(array), requires_grad=array.dtype == np.float32
        ),
    }
    weight = net.first.weight
    result = net.load_state_dict({k: convert[kind](v) for k, v in numbers.items()})
    assert repr(result) == "<All keys matched successfully>"
    assert net.first.weight is weight
    for name, array in numbers_of(net).items():
        np.testing.assert_array_equal(array, numbers[name])


def test_either_side_loads_what_the_other_wrote() -> None:
    ours, theirs = OURS.Net(), THEIRS.Net()
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in other_numbers(theirs).items()})
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(Tensor.wrap(x)).array(), expected, rtol=1e-5)
    back = THEIRS.Net()
    back.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()})
    np.testing.assert_array_equal(back(torch.from_numpy(x)).detach().numpy(), expected)


def _without(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        for name in names:
            del state[name]

    return change


def _with(**shapes: Any) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        for name, shape in shapes.items():
            state[name.replace("__", ".")] = np.zeros(shape, np.float32)

    return change


def _all_wrong(state: dict[str, Any]) -> None:
    _without("own", "branch.0.bias")(state)
    _with(zzz=1, branch__zzz=2, first__weight=(7, 7), first__bias=(), own__zzz=3)(state)


BROKEN: dict[str, Callable[[dict[str, Any]], None]] = {
    "missing": _without("own", "norm.mean", "branch.0.bias"),
    "unexpected": _with(zzz=1, first__zzz=2, branch__7__weight=3, norm__cache=2),
    "a member as a module": _with(own__zzz=3),
    "a module as a member": _with(first=3),
    "mis-sized": _with(first__weight=(2, 2), branch__0__bias=9),
    "extra state": _with(_extra_state=1, norm___extra_state=1),
    "all": _all_wrong,
}


def _report(lib: Any, change: Callable[[dict[str, Any]], None], strict: bool) -> Any:
    net = lib.Net()
    state: dict[str, Any] = numbers_of(net)
    change(state)
    if lib is THEIRS:
        state = {name: torch.from_numpy(np.asarray(each)) for name, each in state.items()}
    try:
        return net.load_state_dict(state, strict=strict)
    except RuntimeError as error:
        return str(error).replace("torch.", "numbanet.")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_reports_are_pytorchs(change: Callable[[dict[str, Any]], None], strict: bool) -> None:
    ours, theirs = (_report(lib, change, strict) for lib in BOTH)
    if isinstance(theirs, str):
        assert ours == theirs
    else:
        assert ours.missing_keys == theirs.missing_keys
        assert ours.unexpected_keys == theirs.unexpected_keys
        assert tuple(ours) == tuple(theirs)
        assert "missing_keys" in repr(ours)


@pytest.mark.parametrize("strict", [True, False])
def test_nothing_is_half_loaded(strict: bool) -> None:
    net = OURS.Net()
    before = numbers_of(net)
    state: dict[str, Any] = {name: array + 1 for name, array in before.items()}
    state["branch.1.0.count"] = np.zeros(5)
    with pytest.raises(StateDictError, match=re.escape("branch.1.0.count")):
        net.load_state_dict(state, strict=strict)
    for name, array in numbers_of(net).items():
        np.testing.assert_array_equal(array, before[name])


def test_the_error_is_numbanets_and_a_runtime_error() -> None:
    assert issubclass(StateDictError, NumbanetError)
    assert issubclass(StateDictError, RuntimeError)
    with pytest.raises(StateDictError, match=r"expected a tensor or an array.*<class 'str'>"):
        OURS.Net().load_state_dict({"own": "text"}, strict=False)
    with pytest.raises(TypeError, match="mapping"):
        OURS.Net().load_state_dict(3)


def test_numbers_take_the_element_type_of_the_module() -> None:
    linear = OURS.Linear(2, 2)
    linear.load_state_dict({"weight": np.ones((2, 2)), "bias": np.ones(2)})
    assert linear.weight.dtype is DType.FLOAT32


def test_assign_replaces_the_parameters() -> None:
    linear, old = OURS.Linear(2, 2), None
    linear.bias.requires_grad_(False)
    old = linear.weight
    own = nn.Parameter(np.full(2, 5.0, np.float32))
    linear.load_state_dict({"weight": np.ones((2, 2)), "bias": own}, assign=True)
    assert linear.weight is not old
    assert linear.weight.dtype is DType.FLOAT64
    assert linear.bias is own
    norm = OURS.Norm(2)
    norm.load_state_dict({"mean": np.ones(2), "count": np.array(3)}, assign=True)
    np.testing.assert_array_equal(norm.mean.array(), np.ones(2))
    assert list(dict(norm.named_buffers())) == ["mean", "count", "cache"]


def test_layouts_are_not_seen_from_outside() -> None:
    numbers = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    module = nn.Module()
    module.kernel = nn.Parameter(np.zeros_like(numbers), layout=(0, 2, 3, 1))
    module.load_state_dict({"kernel": numbers})
    np.testing.assert_array_equal(module.state_dict()["kernel"].numpy(), numbers)
    stored = module.kernel.variable.stored()
    np.testing.assert_array_equal(stored, numbers.transpose(0, 2, 3, 1))


def _counting(lib: Any) -> Any:
    class Counting(lib.nn.Module):
        calls = 3

        def get_extra_state(self) -> Any:
            return {"calls": self.calls}

        def set_extra_state(self, state: Any) -> None:
            self.calls = state["calls"]

    return lib.nn.Sequential(Counting())


def test_extra_state_goes_along() -> None:
    for lib in BOTH:
        net = _counting(lib)
        assert dict(net.state_dict()) == {"0._extra_state": {"calls": 3}}
        net.load_state_dict({"0._extra_state": {"calls": 7}})
        assert net[0].calls == 7
        with pytest.raises(RuntimeError, match=r'Missing key\(s\).*"0._extra_state"'):
            net.load_state_dict({})
