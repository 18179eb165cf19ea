"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numbanet.arrays.naming import nearest
from numbanet.errors import ArgumentError, GraphError
from numbanet.ir import TensorType, Value
from numbanet.layers import Input
from numbanet.layers.calls import Call, note_only
from numbanet.layers.module import Module
from numbanet.layers.ownership import walk
from numbanet.models.model import Model
from numbanet.models.names import free_name


class Sequential(Model):
    """A model in which each layer takes what the one before it returns.

    Parameters
    ----------
    layers : list, or dict of str to Module
        A list's layers are named by their own names or their classes; a dict names them. The
        first element may be an `Input`; without one, shapes are found out from the first data.
    name : str, optional

    Examples
    --------
    >>> model = Sequential([Input((784,)), Dense(128, activation="relu"), Dense(10)])
    >>> model[1] is model["dense_1"]
    True
    >>> encoder = model[:1]
    """

    def __init__(
        self,
        layers: Sequence[Module | Value] | Mapping[str, Module] = (),
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._layers: dict[str, Module] = {}
        self._input: TensorType | None = None
        named = isinstance(layers, Mapping)
        items = layers.items() if named else ((None, layer) for layer in layers)
        added: dict[str, Module] = {}
        for key, layer in items:
            if isinstance(layer, Value):
                self._set_input(layer, bool(added))
            else:
                added[self._new_name(layer, key, added)] = layer
        self._replace(added)

    def add(self, layer: Module | Value, name: str | None = None) -> None:
        """Append a layer; if it does not fit, the model stays as it was.

        Raises
        ------
        ShapeError
            If the layer cannot take what the last one returns.
        GraphError
            If the layer is, or contains, this model.
        """
        if isinstance(layer, Value):
            self._set_input(layer, bool(self._layers))
            return
        self._replace({**self._layers, self._new_name(layer, name, self._layers): layer})

    def pop(self) -> Module:
        """Remove the last layer and return it."""
        if not self._layers:
            raise ArgumentError("pop() of an empty Sequential")
        layers = dict(self._layers)
        _, layer = layers.popitem()
        self._replace(layers)
        return layer

    def submodules(self) -> dict[str, Module]:
        return dict(self._layers)

    def forward(self, *args: Any) -> Any:
        if len(args) != 1:
            raise ArgumentError(f"{self.label} takes one input", got=str(len(args)))
        (x,) = args
        for name, layer in self._layers.items():
            x = layer.call_as(name, x)
        return x

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers.values())

    def __getitem__(self, key: int | slice | str) -> Any:
        """A layer by position or name; a slice is a Sequential that shares its layers.

        A slice of names has both ends in it: ``model["conv1":"pool2"]``.
        """
        if isinstance(key, str):
            return super().__getitem__(key)
        if isinstance(key, slice):
            return self._sliced(self._positions(key))
        layers = list(self._layers.values())
        if not -len(layers) <= key < len(layers):
            raise IndexError(f"layer {key} of a Sequential of {len(layers)}")
        return layers[key]

    def _positions(self, key: slice) -> slice:
        """``key`` with positions for names."""
        start, stop = key.start, key.stop
        if isinstance(start, str):
            start = self._position(start)
        if isinstance(stop, str):
            stop = self._position(stop) + 1
        return slice(start, stop, key.step)

    def _position(self, name: str) -> int:
        if name not in self._layers:
            raise ArgumentError(
                f"no layer {name!r}",
                expected=", ".join(self._layers),
                mend=nearest(name, self._layers),
            )
        return list(self._layers).index(name)

    def _sliced(self, key: slice) -> Sequential:
        part = Sequential(dict(list(self._layers.items())[key]))
        start, _, step = key.indices(len(self._layers))
        if self._input is not None and part._layers and step == 1:
            part._input = self._input_of(start)
            part._replace(part._layers)
        return part

    def _input_of(self, position: int) -> TensorType | None:
        """What the layer at ``position`` takes."""
        if position == 0:
            return self._input
        before = list(self._layers)[position - 1]
        outputs = [
            v for step in self.traced().steps if step.name == before for _, v in step.outputs
        ]
        return outputs[0].type if len(outputs) == 1 else None

    def _new_name(self, layer: object, name: str | None, taken: Mapping[str, Module]) -> str:
        if not isinstance(layer, Module):
            raise ArgumentError(
                "a Sequential takes layers", got=repr(layer), mend="Did you forget to call it?"
            )
        if any(each is self for _, each in walk(layer)):
            raise GraphError(
                "a Sequential cannot contain itself: that would be a cycle", layer=self.name
            )
        if name is None:
            name = layer.name if layer.has_own_name else free_name(layer.class_name, taken)
        if name in taken:
            raise ArgumentError(f"two layers are named {name!r}", mend="Rename one of them")
        return name

    def _set_input(self, value: Value, is_late: bool) -> None:
        if is_late:
            raise ArgumentError("Input comes first in a Sequential")
        self._input = value.type

    def settle(self, types: Mapping[str, TensorType], structure: Any = None) -> None:
        """As of every model; each layer is called once by that."""
        super().settle(types, structure)
        for step in self.traced().steps:
            if isinstance(step.source, Call):
                note_only(self, step.source, [value for _, value in step.outputs])

    def start(self, type_: TensorType) -> None:
        """Begin with an input of this type, as with an `Input` of it."""
        self._input = type_
        self._replace(self._layers)

    @property
    def input_type(self) -> TensorType | None:
        """The type of the `Input` that it begins with, if with any."""
        return self._input

    def _replace(self, layers: dict[str, Module]) -> None:
        """Take these layers, or raise and keep the ones there were."""
        before = self._layers
        self._layers = layers
        if self._input is None:
            self._input = _input_of_first(layers)
        try:
            if self._input is not None and layers:
                self.settle({"input": self._input})
            else:
                self._signature = None
        except Exception:
            self._layers = before
            raise
        for name, layer in layers.items():
            layer.find_name(name)
        self.forget_programs()


def _input_of_first(layers: Mapping[str, Module]) -> TensorType | None:
    """The input that the first layer was given the shape of."""
    shape = getattr(next(iter(layers.values()), None), "first_shape", None)
    return None if shape is None else Input(shape).type
