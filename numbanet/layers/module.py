"""Modules: what owns parameters and records ops. Layers and models are modules."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from numbanet.configuration import Configured
from numbanet.errors import (
    ArgumentError,
    DTypeError,
    GraphError,
    ShapeError,
    SymbolicValueError,
)
from numbanet.initializers import Fans
from numbanet.ir import DType, Value, Variable, current_path, scope
from numbanet.layers import masks
from numbanet.layers.budget import first_numbers
from numbanet.layers.penalties import current_penalties
from numbanet.layers.phase import at_inference, phase, with_training
from numbanet.layers.structure import flatten, map_leaves
from numbanet.ops.shapes import RESHAPE, ReshapeAttrs, inverse, transpose

Regularizer = Callable[[Value], Value]
"""Of a parameter's value: a scalar that is added to the loss."""

Constraint = Callable[[Value], Value]
"""Of a parameter's value after a step: the value that it takes instead."""


@dataclass(frozen=True, eq=False)
class Call:
    """One application of a module to values."""

    module: Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def inputs(self) -> tuple[Value, ...]:
        leaves = flatten([self.args, self.kwargs])
        return tuple(leaf for leaf in leaves if isinstance(leaf, Value))


@dataclass(frozen=True, eq=False)
class Origin:
    """Which output of which call a value is."""

    call: Call
    position: int


# A model is found by walking back from its outputs, call by call. An entry refers to values
# upstream of its key only, so it goes when its value goes.
_ORIGINS: WeakKeyDictionary[Value, Origin] = WeakKeyDictionary()


def origin_of(value: Value) -> Origin | None:
    """The outermost call that returned ``value``; None for inputs and for lone ops."""
    return _ORIGINS.get(value)


class Module(Configured):
    """Something with parameters that records ops when it is called on values.

    A subclass implements ``forward`` (``call`` is taken for it, as Keras spells it), and
    ``build`` if its parameters' shapes depend on what it is called with. Modules and variables
    that are attributes (also in lists, tuples and dicts) belong to it, in the order in which
    they were set.

    Parameters
    ----------
    name : str, optional
        By default the name of the attribute or the place in the model that holds the module.

    Examples
    --------
    >>> class Residual(Module):
    ...     def __init__(self, units):
    ...         super().__init__()
    ...         self.inner = Dense(units, activation="relu")
    ...
    ...     def forward(self, x):
    ...         return x + self.inner(x)
    """

    _regularizers: Mapping[Variable, Regularizer] = MappingProxyType({})
    _constraints: Mapping[Variable, Constraint] = MappingProxyType({})
    _takes_call: ClassVar[bool] = True

    supports_masking: bool = False
    """Whether outputs have masks, those of `compute_mask`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = vars(cls)
        if cls._takes_call and "call" in own and "forward" not in own:
            cls.forward = own["call"]
        if "compute_mask" in own and "supports_masking" not in own:
            cls.supports_masking = True

    def __init__(self, name: str | None = None) -> None:
        if name is not None and (not name or "/" in name):
            raise ArgumentError(
                "a layer's name is not empty and has no '/'", got=repr(name), mend="Rename it"
            )
        self._given_name = name
        self._found_name: str | None = None
        self._is_built = False
        self._is_trainable = True

    # What subclasses write.

    def build(self, *args: Any, **kwargs: Any) -> None:
        """Create parameters; called once, with what ``forward`` is about to be called with, but
        for masks and ``training``. With a parameter ``input_shape`` it is given the shape of
        the first argument instead, as Keras's is."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Record the module's ops and return its output values."""
        raise NotImplementedError(f"{type(self).__name__} does not implement forward()")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output, or a mask or None for each of several.

        Asked for of layers that have ``supports_masking``; defining it is saying so. By default
        the input's mask is the output's.

        Parameters
        ----------
        inputs : Value, or nested values
            The first argument of the call.
        previous_mask : Value, or nested like ``inputs``, optional
            Its mask, or the ``mask`` that the layer was called with.
        """
        return previous_mask

    def add_loss(self, loss: Value | Iterable[Value]) -> None:
        """Add numbers, computed in ``forward``, to the loss that the model is trained for.

        Raises
        ------
        ShapeError
            If one is no scalar.
        """
        for each in [loss] if isinstance(loss, Value) else loss:
            if each.rank:
                raise ShapeError(f"{self.label} adds numbers to the loss", got=str(each.type))
            found = current_penalties()
            if found is not None:
                found.append(each)

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

    # Calling.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record this module on values; see ``forward``.

        ``training=False`` records it as at inference, also where the model is trained: without
        dropout, with running statistics that stay as they are. A ``forward`` that has a
        parameter ``training`` is told whether what is recorded is trained.
        """
        return self.call_as(self.name, *args, **kwargs)

    def call_as(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call under another name: a model's own name for a layer that it shares."""
        call = Call(self, args, kwargs)
        with scope(name), phase(kwargs.get("training")):
            self._check_arguments(args, kwargs)
            kwargs = with_training(self.forward, kwargs)
            outputs = self.record(*args, **kwargs)
            if call.kwargs.get("training") is False:
                outputs = at_inference(call.inputs, outputs)
            outputs = self._with_origins(call, outputs)
            masks.hand_on(self, args, kwargs, outputs)
        return outputs

    def record(self, *args: Any, **kwargs: Any) -> Any:
        """Build if that was not done, and record ``forward`` under the open scope as it is."""
        for key, child in self.submodules().items():
            child.find_name(key)
        kwargs = with_training(self.forward, kwargs)
        if not self._is_built:
            self._build(args, {k: v for k, v in kwargs.items() if not _is_aside(k)})
            self._is_built = True
        if not masks.has_mask([args, kwargs]):
            return self.forward(*args, **kwargs)
        filled = masks.fill(self.forward, args, kwargs)
        with masks.taken(filled.arguments):
            return self.forward(*filled.args, **filled.kwargs)

    def _build(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Build; a ``build`` whose parameter is Keras's ``input_shape`` is given shapes."""
        if "input_shape" in inspect.signature(self.build).parameters:
            self.build(map_leaves(lambda leaf: getattr(leaf, "shape", leaf), args[0]))
        else:
            self.build(*args, **kwargs)

    def _check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for leaf in flatten([args, kwargs]):
            if isinstance(leaf, np.ndarray):
                raise SymbolicValueError(
                    f"{self.label} is called on symbolic values while a model is built",
                    got=f"a NumPy array of shape {leaf.shape}",
                    mend="Build a model and call its predict(array)",
                )

    def _with_origins(self, call: Call, outputs: Any) -> Any:
        given = set(call.inputs)

        def own(leaf: Any) -> Any:
            # A module that returns its input still is a step of the model.
            return _again(leaf) if leaf in given else leaf

        outputs = map_leaves(own, outputs)
        for position, leaf in enumerate(flatten(outputs)):
            if isinstance(leaf, Value):
                _ORIGINS[leaf] = Origin(call, position)
        return outputs

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
        return dict(_members(self, Module))

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


def _is_aside(keyword: str) -> bool:
    """Whether an argument says how to compute, and not what of."""
    return keyword == "training" or keyword.endswith("mask")


def _again(value: Value) -> Value:
    """The same numbers as another value, at no cost: a reshape is a view."""
    sizes = value.shape[1:]
    target = tuple(size for size in ((-1, *sizes) if value.rank else ()) if size is not None)
    return RESHAPE(value, attrs=ReshapeAttrs(target))


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


def walk(module: Module) -> Iterator[tuple[str, Module]]:
    """``module`` and all modules below it with their paths, parents first."""
    stack: list[tuple[str, Module, tuple[Module, ...]]] = [("", module, ())]
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


def is_size(number: object) -> bool:
    """Whether ``number`` is a positive integer, Python's or NumPy's."""
    return isinstance(number, int | np.integer) and number is not True and bool(number > 0)


@contextmanager
def unbuilt_on_error(module: Module) -> Iterator[None]:
    """If the block raises, what it built below ``module`` is as it was before."""
    before = {each: dict(vars(each)) for _, each in walk(module) if not each.is_built}
    try:
        yield
    except Exception:
        for each, attributes in before.items():
            vars(each).clear()
            vars(each).update(attributes)
        raise


def snake_case(name: str) -> str:
    """``MaxPooling2D`` -> ``max_pooling2d``, ``LeakyReLU`` -> ``leaky_relu``."""
    name = name.replace("ReLU", "Relu")
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _members(module: Module, kind: type) -> Iterator[tuple[str, Any]]:
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
