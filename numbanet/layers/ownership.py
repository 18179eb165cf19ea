"""What modules own: a name, variables, and modules below them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.configuration import Configured
from numbanet.errors import ArgumentError, DTypeError, GraphError
from numbanet.initializers import Fans
from numbanet.ir import DType, Value, Variable, current_path
from numbanet.layers.budget import first_numbers
from numbanet.ops.shapes import inverse, transpose

if TYPE_CHECKING:
    from numbanet.layers.module import Module

Regularizer = Callable[[Value], Value]
"""Of a parameter's value: a scalar that is added to the loss."""

Constraint = Callable[[Value], Value]
"""Of a parameter's value after a step: the value that it takes instead."""


class Owner(Configured):
    """The half of `Module` that has a name and holds things, and is not called.

    Parameters
    ----------
    name : str, optional
    """

    _regularizers: Mapping[Variable, Regularizer] = MappingProxyType({})
    _constraints: Mapping[Variable, Constraint] = MappingProxyType({})

    def __init__(self, name: str | None = None) -> None:
        if name is not None and (not name or "/" in name):
            raise ArgumentError(
                "a layer's name is not empty and has no '/'", got=repr(name), mend="Rename it"
            )
        self._given_name = name
        self._found_name: str | None = None
        self._is_built = False
        self._is_trainable = True

    # Names.

    @property
    def name(self) -> str:
        """The given name, else the one found where the module is held, else its class's."""
        return self._given_name or self._found_name or self.class_name

    @property
    def class_name(self) -> str:
        """The name that an instance gets by default: ``max_pooling2d``."""
        return snake_case(type(self).__name__)

    @property
    def has_own_name(self) -> bool:
        """Whether the name was given by the user."""
        return self._given_name is not None

    def find_name(self, name: str) -> None:
        """Take ``name`` from a holder unless there is one already: the first holder wins."""
        if self._given_name is None and self._found_name is None:
            self._found_name = name

    @property
    def label(self) -> str:
        """How messages call it: ``Dense 'fc1'``, with the path while it records."""
        return f"{type(self).__name__} {current_path() or self.name!r}"

    # What it owns.

    def parameter(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Callable[[tuple[int, ...], Fans], np.ndarray],
        *,
        dtype: DType = DType.FLOAT32,
        fans: Fans = (1, 1),
        trainable: bool = True,
        layout: tuple[int, ...] | None = None,
        regularizer: Regularizer | None = None,
        constraint: Constraint | None = None,
    ) -> Variable:
        """A new variable with numbers from ``initializer``.

        While it is trained, ``regularizer`` of its value is added to the loss, and
        ``constraint`` of its value takes its place after each step. Both see the form that
        ``initializer`` gives; graphs see it transposed by ``layout``.
        """
        if not dtype.is_floating:
            raise DTypeError(
                f"{self.label} takes floating-point values",
                got=dtype.value,
                mend="Convert them with ops.cast(x, 'float32')",
            )
        numbers = np.asarray(first_numbers(initializer, shape, fans), dtype=dtype.numpy)
        path = f"{current_path() or self.name}/{name}"
        variable = Variable(numbers, path, trainable=trainable, layout=layout)
        # New mappings, not entries of old ones: a build that fails takes them back.
        if regularizer is not None:
            seen = _on_shown(regularizer, layout, is_scalar=True)
            self._regularizers = {**self._regularizers, variable: seen}
        if constraint is not None:
            seen = _on_shown(constraint, layout)
            self._constraints = {**self._constraints, variable: seen}
        return variable

    def regularizers(self) -> dict[Variable, Regularizer]:
        """What is added to the loss for each variable, here and below."""
        return {v: r for _, module in walk(self) for v, r in module._regularizers.items()}

    def constraints(self) -> dict[Variable, Constraint]:
        """What each variable is subject to after a step, here and below."""
        return {v: c for _, module in walk(self) for v, c in module._constraints.items()}

    def submodules(self) -> dict[str, Module]:
        """The modules held directly, by name."""
        return dict(_members(self, Owner))

    def own_variables(self) -> dict[str, Variable]:
        """The variables held directly, by name: first those that can be trained."""
        members = _members(self, Variable)
        return dict(sorted(members, key=lambda member: not member[1].trainable))

    def variables(self) -> dict[str, Variable]:
        """All variables by path (``"encoder/conv1/kernel"``), each once, in a fixed order."""
        named: dict[str, Variable] = {}
        seen: set[Variable] = set()
        for path, module in walk(self):
            for key, variable in module.own_variables().items():
                if variable not in seen:
                    seen.add(variable)
                    named[f"{path}/{key}" if path else key] = variable
        return named

    def trainable_variables(self) -> dict[str, Variable]:
        """The variables that an optimizer may change: none below a frozen module."""
        frozen = {
            variable
            for _, module in walk(self)
            if not module._is_trainable
            for variable in module.variables().values()
        }
        return {
            path: variable
            for path, variable in self.variables().items()
            if variable.trainable and variable not in frozen
        }

    @property
    def weights(self) -> list[Variable]:
        """All variables, in Keras's order: a module's own before those below it."""
        return list(self.variables().values())

    @property
    def trainable_weights(self) -> list[Variable]:
        """The variables that an optimizer may change."""
        return list(self.trainable_variables().values())

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The variables that no optimizer changes: statistics, and what is frozen."""
        moving = set(self.trainable_weights)
        return [variable for variable in self.weights if variable not in moving]

    @property
    def trainable(self) -> bool:
        """Whether training changes the module.

        Setting it sets all modules below, too, and counts from the next step on. What is below
        a frozen module is frozen, whatever its own flag.
        """
        return self._is_trainable

    @trainable.setter
    def trainable(self, is_trainable: bool) -> None:
        for child in self.submodules().values():
            child.trainable = is_trainable
        self._is_trainable = bool(is_trainable)

    @property
    def is_built(self) -> bool:
        """Whether the parameters exist."""
        return self._is_built

    def count_params(self) -> int:
        """Number of elements of all variables."""
        return sum(variable.type.size for variable in self.variables().values())

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all variables' numbers, in the order of ``variables()``."""
        return [variable.numpy() for variable in self.variables().values()]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Replace all variables' numbers; all shapes are checked before any is changed."""
        variables = self.variables()
        shapes = [tuple(np.shape(array)) for array in weights]
        expected = [variable.shape for variable in variables.values()]
        if shapes != expected:
            raise ArgumentError(
                f"{self.label} cannot take these weights",
                got=", ".join(map(str, shapes)) or "none",
                expected=", ".join(f"{k} {v.shape}" for k, v in variables.items()) or "none",
            )
        for variable, array in zip(variables.values(), weights, strict=True):
            variable.assign(array)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _on_shown(
    function: Callable[[Value], Value],
    layout: tuple[int, ...] | None,
    *,
    is_scalar: bool = False,
) -> Callable[[Value], Value]:
    """``function`` of stored numbers, where it is written for those that people see."""
    if layout is None:
        return function

    def of_stored(value: Value) -> Value:
        result = function(transpose(value, inverse(layout)))
        return result if is_scalar else transpose(result, layout)

    return of_stored


def walk(module: Owner) -> Iterator[tuple[str, Module]]:
    """``module`` and all modules below it with their paths, parents first."""
    stack: list[tuple[str, Any, tuple[Owner, ...]]] = [("", module, ())]
    while stack:
        path, each, above = stack.pop()
        if each in above:
            raise GraphError(
                f"{type(each).__name__} {each.name!r} contains itself",
                mend="Add another instance, or call the same layer twice in a Model",
            )
        yield path, each
        below = [
            (f"{path}/{key}" if path else key, child, (*above, each))
            for key, child in each.submodules().items()
        ]
        stack.extend(reversed(below))


@contextmanager
def unbuilt_on_error(module: Owner) -> Iterator[None]:
    """If the block raises, what it built below ``module`` is as it was before."""
    before = _unbuilt(module)
    try:
        yield
    except Exception:
        _put_back(before)
        raise


@contextmanager
def unbuilt_afterwards(module: Owner) -> Iterator[None]:
    """What the block builds below ``module`` is for the block only."""
    before = _unbuilt(module)
    try:
        yield
    finally:
        _put_back(before)


def _unbuilt(module: Owner) -> dict[Owner, dict[str, Any]]:
    """The attributes of what is not built yet."""
    return {each: dict(vars(each)) for _, each in walk(module) if not each.is_built}


def _put_back(before: Mapping[Owner, dict[str, Any]]) -> None:
    for each, attributes in before.items():
        vars(each).clear()
        vars(each).update(attributes)


def snake_case(name: str) -> str:
    """``MaxPooling2D`` -> ``max_pooling2d``, ``LeakyReLU`` -> ``leaky_relu``."""
    name = name.replace("ReLU", "Relu")
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _members(module: Owner, kind: type) -> Iterator[tuple[str, Any]]:
    """Attributes of ``kind``, those in lists, tuples and dicts included."""
    for key, attribute in vars(module).items():
        if isinstance(attribute, kind):
            yield key, attribute
        elif isinstance(attribute, list | tuple):
            for position, element in enumerate(attribute):
                if isinstance(element, kind):
                    yield f"{key}_{position}", element
        elif isinstance(attribute, dict):
            for name, element in attribute.items():
                if isinstance(element, kind):
                    yield f"{key}_{name}", element
