"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict against PyTorch's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet.tensors.tensor import Tensor
from tests.nn.twins import BOTH, OURS, alike, as_text


def three(lib: Any, container: str = "Sequential") -> Any:
    modules = [lib.Linear(1, 2), lib.Linear(2, 3), lib.Norm(3)]
    if container == "ModuleList":
        return lib.nn.ModuleList(modules)
    if container == "ModuleDict":
        return lib.nn.ModuleDict(zip("bac", modules, strict=True))
    return lib.nn.Sequential(*modules)


def parameters(lib: Any, *sizes: int) -> list[Any]:
    return [lib.nn.Parameter(lib.tensor(np.zeros(size, np.float32))) for size in sizes]


def after(change: Callable[[Any, Any], Any], container: str = "Sequential") -> Any:
    """A container that ``change(container, library)`` was done to."""

    def make(lib: Any) -> Any:
        held = three(lib, container)
        change(held, lib)
        return held

    return make


def _set(key: Any) -> Callable[[Any, Any], None]:
    return lambda held, lib: held.__setitem__(key, lib.Wordy())


def _delete(key: Any) -> Callable[[Any, Any], None]:
    return lambda held, lib: held.__delitem__(key)


def _add_in_place(held: Any, lib: Any) -> None:
    held += three(lib) if hasattr(held, "forward") else [lib.Wordy()]


def _multiply_in_place(held: Any, lib: Any) -> None:
    held *= 3


def _ordered(lib: Any) -> Any:
    return lib.nn.Sequential(
        OrderedDict([("conv", lib.Linear(1, 2)), ("relu", lib.Wordy()), ("name", lib.Norm(1))])
    )


def _dict_of_parameters(lib: Any) -> Any:
    one, two = parameters(lib, 1, 2)
    held = lib.nn.ParameterDict({"z": one, "a": two})
    held["plain"] = lib.tensor(np.zeros((2, 3), np.float32))
    return held


CONTAINERS = {
    "sequential": three,
    "sequential, empty": lambda lib: lib.nn.Sequential(),
    "sequential, ordered": _ordered,
    "sequential, ordered, slice": lambda lib: _ordered(lib)[1:],
    "sequential, ordered, last": lambda lib: _ordered(lib)[-1],
    "sequential, slice": lambda lib: three(lib)[::2],
    "sequential, append": after(lambda held, lib: held.append(lib.Wordy())),
    "sequential, extend": after(lambda held, lib: held.extend([lib.Wordy(), lib.Norm(1)])),
    "sequential, insert": after(lambda held, lib: held.insert(1, lib.Wordy())),
    "sequential, insert first": after(lambda held, lib: held.insert(-3, lib.Wordy())),
    "sequential, insert last": after(lambda held, lib: held.insert(3, lib.Wordy())),
    "sequential, pop": after(lambda held, lib: held.pop(0)),
    "sequential, popped": lambda lib: three(lib).pop(-1),
    "sequential, set": after(_set(-1)),
    "sequential, delete": after(_delete(1)),
    "sequential, delete slice": after(_delete(slice(0, 2))),
    "sequential, sum": lambda lib: three(lib) + three(lib)[:1],
    "sequential, sum in place": after(lambda held, lib: held.__iadd__(three(lib))),
    "sequential, product": lambda lib: three(lib) * 2,
    "sequential, product from the left": lambda lib: 2 * three(lib),
    "sequential, product in place": after(lambda held, lib: held.__imul__(3)),
    "list": lambda lib: three(lib, "ModuleList"),
    "list, empty": lambda lib: lib.nn.ModuleList(),
    "list, folded": lambda lib: lib.nn.ModuleList(
        [lib.Norm(1), *(lib.Linear(1, 2) for _ in range(3)), three(lib), three(lib)]
    ),
    "list, slice": lambda lib: three(lib, "ModuleList")[1:],
    "list, append": after(lambda held, lib: held.append(lib.Wordy()), "ModuleList"),
    "list, insert": after(lambda held, lib: held.insert(0, lib.Wordy()), "ModuleList"),
    "list, pop": after(lambda held, lib: held.pop(-2), "ModuleList"),
    "list, set": after(_set(0), "ModuleList"),
    "list, delete": after(_delete(0), "ModuleList"),
    "list, sum": lambda lib: three(lib, "ModuleList").__add__([lib.Wordy()]),
    "list, sum in place": after(lambda held, lib: held.__iadd__([lib.Wordy()]), "ModuleList"),
    "dict": lambda lib: three(lib, "ModuleDict"),
    "dict, set": after(_set("new"), "ModuleDict"),
    "dict, set again": after(_set("b"), "ModuleDict"),
    "dict, delete": after(_delete("a"), "ModuleDict"),
    "dict, pop": after(lambda held, lib: held.pop("b"), "ModuleDict"),
    "dict, clear": after(lambda held, lib: held.clear(), "ModuleDict"),
    "dict, update": after(
        lambda held, lib: held.update({"z": lib.Wordy(), "a": lib.Norm(1)}), "ModuleDict"
    ),
    "dict, of a dict": lambda lib: lib.nn.ModuleDict(three(lib, "ModuleDict")),
    "dict, of names of the machinery": lambda lib: lib.nn.ModuleDict({"name": lib.Wordy()}),
}


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_containers_print_as_pytorchs(make: Callable[[Any], Any]) -> None:
    alike(make)


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_containers_have_the_same_state(make: Callable[[Any], Any]) -> None:
    ours, theirs = (
        {k: tuple(v.shape) for k, v in make(lib).state_dict().items()} for lib in BOTH
    )
    assert ours == theirs
    assert list(ours) == list(theirs)


PARAMETERS = {
    "list": lambda lib: lib.nn.ParameterList([*parameters(lib, 2, 3), "text"]),
    "list, of tensors": lambda lib: lib.nn.ParameterList(
        [lib.tensor(np.zeros((2, 3), np.float32))]
    ),
    "list, slice": lambda lib: lib.nn.ParameterList(parameters(lib, 1, 2, 3))[1:],
    "list, append": lambda lib: lib.nn.ParameterList().append(*parameters(lib, 3)),
    "list, sum in place": lambda lib: lib.nn.ParameterList(parameters(lib, 1)).__iadd__(
        parameters(lib, 2)
    ),
}


@pytest.mark.parametrize("make", PARAMETERS.values(), ids=PARAMETERS)
def test_lists_of_parameters_print_as_pytorchs(make: Callable[[Any], Any]) -> None:
    alike(make)


def test_a_dict_of_parameters_says_the_element_type() -> None:
    assert as_text(_dict_of_parameters(OURS)).splitlines()[1] == (
        "    (a): Parameter containing: [numbanet.float32 of size 2]"
    )


PARAMETER_DICTS = {
    "set": _dict_of_parameters,
    "pairs": lambda lib: lib.nn.ParameterDict(
        zip("zab", parameters(lib, 1, 2, 3), strict=True)
    ),
    "ordered": lambda lib: lib.nn.ParameterDict(
        OrderedDict(zip("zab", parameters(lib, 1, 2, 3), strict=True))
    ),
    "copy": lambda lib: _dict_of_parameters(lib).copy(),
    "or": lambda lib: (
        _dict_of_parameters(lib) | lib.nn.ParameterDict({"new": parameters(lib, 7)[0]})
    ),
    "ior": lambda lib: _dict_of_parameters(lib).__ior__(
        lib.nn.ParameterDict({"a": parameters(lib, 7)[0]})
    ),
    "fromkeys": lambda lib: _dict_of_parameters(lib).fromkeys("xy", parameters(lib, 1)[0]),
}


@pytest.mark.parametrize("make", PARAMETER_DICTS.values(), ids=PARAMETER_DICTS)
def test_dicts_of_parameters_hold_what_pytorchs_hold(make: Callable[[Any], Any]) -> None:
    ours, theirs = (make(lib) for lib in BOTH)
    assert list(ours.keys()) == list(theirs.keys())
    assert list(reversed(ours)) == list(reversed(theirs))
    assert [tuple(p.shape) for p in ours.values()] == [tuple(p.shape) for p in theirs.values()]
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_dicts_of_parameters_give_up_what_they_hold() -> None:
    for lib in BOTH:
        held = _dict_of_parameters(lib)
        assert held.get("zzz", 3) == 3
        assert held.setdefault("a", None) is held["a"]
        key, last = held.popitem()
        assert (key, tuple(last.shape)) == ("plain", (2, 3))
        held.pop("a")
        del held["z"]
        assert len(held) == 0
        assert list(held.parameters()) == []
        with pytest.raises(KeyError):
            held.popitem()
    with pytest.raises(KeyError):
        OURS.nn.ParameterDict()["a"]


def test_sequential_is_called_in_order() -> None:
    double, plus = _Apply(lambda x: 2 * x), _Apply(lambda x: x + 1)
    assert nn.Sequential(double, plus)(3) == 7
    assert nn.Sequential(plus, double)(3) == 8
    assert nn.Sequential()(3) == 3


class _Apply(nn.Module):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def test_what_is_held_twice_is_one_module() -> None:
    net = three(OURS) * 2
    assert net[0] is net[3]
    assert len(list(net.parameters())) == 4
    assert len(net) == 6
    assert list(net)[3] is net[0]


def test_lengths_membership_and_iteration() -> None:
    for lib in BOTH:
        held = three(lib, "ModuleDict")
        assert len(held) == 3
        assert list(held) == ["b", "a", "c"] == list(held.keys())
        assert "a" in held
        assert "z" not in held
        assert [type(v).__name__ for v in held.values()] == ["Linear", "Linear", "Norm"]
        assert dict(held.items())["b"] is held["b"]


MISTAKES = {
    "index": lambda lib: three(lib)[3],
    "negative index": lambda lib: three(lib, "ModuleList")[-4],
    "set beyond": lambda lib: three(lib).__setitem__(5, lib.Wordy()),
    "pop beyond": lambda lib: three(lib).pop(3),
    "insert beyond": lambda lib: three(lib).insert(4, lib.Wordy()),
    "no module": lambda lib: lib.nn.Sequential(3),
    "no module in a list": lambda lib: lib.nn.ModuleList([3]),
    "no iterable": lambda lib: lib.nn.ModuleList(3),
    "no pairs": lambda lib: lib.nn.ModuleDict(3),
    "key": lambda lib: three(lib, "ModuleDict")["zzz"],
    "key of a method": lambda lib: lib.nn.ModuleDict({"keys": lib.Wordy()}),
    "zero times": lambda lib: three(lib) * 0,
    "half": lambda lib: three(lib) * 0.5,
    "sum with a list": lambda lib: three(lib).__add__([lib.Wordy()]),
    "calling a list": lambda lib: three(lib, "ModuleList")(3),
    "index of a parameter": lambda lib: lib.nn.ParameterList([])[0],
    "parameters of a number": lambda lib: lib.nn.ParameterList(3),
    "parameter of a method": lambda lib: lib.nn.ParameterDict({"train": parameters(lib, 1)[0]}),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_raise_what_pytorch_raises(mistake: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - its type is what is asked
        mistake(BOTH[1])
    with pytest.raises(theirs.type):
        mistake(OURS)


def test_a_failed_insert_changes_nothing() -> None:
    held = three(OURS)
    before = repr(held)
    with pytest.raises(TypeError, match="module"):
        held.insert(0, 3)
    assert repr(held) == before


def test_tensors_in_lists_of_parameters_become_parameters() -> None:
    held = nn.ParameterList([Tensor.wrap(np.ones(2, np.float32))])
    assert isinstance(held[0], nn.Parameter)
    assert list(held.parameters()) == [held[0]]
    held[0] = Tensor.wrap(np.ones(3, np.float32))
    assert held[-1].shape == (3,)
