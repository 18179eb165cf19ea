"""What a model is made of: its layers, its inputs and outputs, and parts of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.ir import TensorType, Value
from numbanet.ir.types import Shape
from numbanet.layers.module import Module
from numbanet.layers.ownership import unbuilt_on_error, walk
from numbanet.layers.structure import flatten, map_leaves
from numbanet.models import parts
from numbanet.models.functional import Topology, trace
from numbanet.models.signature import Signature, make_signature, named, with_names
from numbanet.models.subclassing import arrange
from numbanet.ops.leaf import input_value


class Structured(Module):
    """The half of `Model` that knows its structure, and not how to run it."""

    _topology: Topology | None = None
    _signature: Signature | None = None
    _settled: tuple[dict[str, Value], dict[str, Value]] | None = None
    _trace: Topology | None = None
    _known: Mapping[str, Module] = MappingProxyType({})
    _trainer: Any = None
    _predictor: Any = None

    @classmethod
    def with_known(cls, known: Mapping[str, Module], *args: Any) -> Any:
        """A model of the class in which the layers among ``known`` have these names."""
        model = cls.__new__(cls, *args)
        vars(model)["_known"] = known
        model.__init__(*args)
        del model._known
        return model

    def _connect(self, inputs: Any, outputs: Any) -> None:
        """Become what lies between ``inputs`` and ``outputs``.

        A list of one output is that output, as in Keras.
        """
        if isinstance(outputs, list | tuple) and len(outputs) == 1:
            outputs = outputs[0]
        topology = trace(inputs, outputs, self._known)
        self._topology = topology
        names = list(topology.outputs)
        nested = with_names(inputs, topology.inputs)
        self._signature = make_signature(topology.inputs, outputs, names, nested)

    def forget_programs(self) -> None:
        """Compile anew when it is next run: something of the layers is other than it was."""
        self._trainer = self._predictor = None

    # Layers.

    def submodules(self) -> dict[str, Module]:
        """The layers by name."""
        return super().submodules() if self._topology is None else self._topology.layers

    @property
    def layers(self) -> list[Module]:
        """The layers in Keras's order; inputs are none."""
        return list(self.submodules().values())

    def get_layer(self, name: str | None = None, index: int | None = None) -> Module:
        """A layer by name, or by its place among `layers`.

        Parameters
        ----------
        name : str, optional
            Of a layer of a nested model, its path: ``"encoder/conv1"``.
        index : int, optional

        Raises
        ------
        ArgumentError
            If there is no such layer, or not exactly one of both is given.
        """
        if (name is None) == (index is None):
            raise ArgumentError("get_layer() takes a name or an index")
        if name is not None:
            return parts.find_layer(self, name)
        layers = self.layers
        if not isinstance(index, int) or not -len(layers) <= index < len(layers):
            raise ArgumentError(
                f"{self.label} has {len(layers)} layers", got=f"index {index!r}"
            )
        return layers[index]

    def __getitem__(self, key: Any) -> Any:
        """The layer of this name; of a slice of names, the part between them.

        ``model["conv1":"pool2"]`` is a model of what lies from the first call of ``conv1`` to
        the last of ``pool2``, both in it. It shares the layers. Without a start it begins with
        the model's inputs, without a stop it ends with its outputs.

        Raises
        ------
        ArgumentError
            If there is no such layer.
        GraphError
            If the part needs something that does not come through its first layer.
        """
        if isinstance(key, slice):
            return parts.between(self, key)
        return parts.find_layer(self, key)

    def tap(self, *names: str) -> Any:
        """A model from the same inputs to what layers return; nothing is built anew.

        Parameters
        ----------
        *names : str
            Layers by name. Of a layer that is called several times, ``"dense"`` is its first
            call and ``"dense[1]"`` its second; of nested models, ``"encoder/conv1"``.

        Returns
        -------
        Model
            One name: its output is what that layer returns. Several: a dict by name. Call it on
            values, or its ``predict`` on data. It shares layers and weights with this model.

        Examples
        --------
        >>> features = model.tap("conv1").predict(images)
        >>> model.tap("conv1", "pool2").predict(images)["pool2"].shape
        """
        return parts.tap(self, names)

    def frozen(self) -> list[str]:
        """Paths of the layers that are frozen now."""
        return [path for path, module in walk(self) if not module.trainable]

    # Inputs and outputs.

    @property
    def topology(self) -> Topology | None:
        """The recorded steps of a functional model; None for others."""
        return self._topology

    @property
    def signature(self) -> Signature:
        """Inputs and outputs by name, with the batch size unknown.

        Raises
        ------
        ArgumentError
            If no data has shown yet what the inputs are.
        """
        if self._signature is None:
            raise self._unknown_inputs()
        return self._signature

    def _unknown_inputs(self) -> ArgumentError:
        return ArgumentError(
            f"{self.label} does not know its inputs yet",
            mend="Start it with Input(shape), or call fit() or predict() on data first",
        )

    @property
    def input(self) -> Any:
        """The symbolic input; of several, nested as they are."""
        return parts.ends(self)[0]

    @property
    def output(self) -> Any:
        """The symbolic output; of several, nested as they are."""
        return parts.ends(self)[1]

    @property
    def inputs(self) -> list[Value]:
        """The symbolic inputs, in order."""
        return list(self.traced().inputs.values())

    @property
    def outputs(self) -> list[Value]:
        """The symbolic outputs, in order."""
        return list(self.traced().outputs.values())

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        return list(self.signature.inputs)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in order."""
        return list(self.signature.outputs)

    @property
    def input_shape(self) -> Any:
        """Shape of the input, the batch size unknown; of several, nested as they are."""
        return _shapes(self.signature.input_structure, self.signature.inputs)

    @property
    def output_shape(self) -> Any:
        """Shape of the output, the batch size unknown; of several, nested as they are."""
        return _shapes(self.signature.structure, self.signature.outputs)

    def traced(self) -> Topology:
        """The steps from inputs to outputs, as they were first recorded."""
        if self._topology is not None:
            return self._topology
        if self._signature is None or self._settled is None:
            raise self._unknown_inputs()
        if self._trace is None:
            self._trace = trace(*self._settled, self.submodules())
        return self._trace

    # Recording.

    def forward(self, *args: Any) -> Any:
        """Record all layers on new values, given as the model's inputs were."""
        if self._topology is None:
            raise NotImplementedError(f"{type(self).__name__} does not implement forward()")
        ordered = self._ordered(args[0] if len(args) == 1 else list(args))
        outputs = dict(zip(self._topology.outputs, self._topology.record(ordered), strict=True))
        return map_leaves(lambda name: outputs[name], self.signature.structure)

    def _ordered(self, given: Any) -> Iterable[Value]:
        """Values in the order of the inputs, however they are nested."""
        names = self.input_names
        if not isinstance(given, Mapping):
            leaves = flatten(given)
            fits = len(leaves) == len(names)
        else:
            by_name = named(self.signature.input_structure, given)
            fits = isinstance(by_name, Mapping) and set(by_name) == set(names)
            leaves = [by_name[name] for name in names] if fits else flatten(given)
        if not fits:
            raise ArgumentError(
                f"{self.label} takes {len(names)} input(s)",
                got=str(len(leaves)),
                expected=", ".join(names),
            )
        return leaves

    def record_on(self, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Record the model on values by input name; its outputs by name."""
        args, kwargs = self._arranged(inputs, self.signature.input_structure)
        outputs = flatten(self.record(*args, **kwargs))
        return dict(zip(self.signature.outputs, outputs, strict=True))

    def _arranged(
        self, inputs: Mapping[str, Value], structure: Any
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return arrange(self.forward, inputs, structure)

    def settle(self, types: Mapping[str, TensorType], structure: Any = None) -> None:
        """Record once on inputs of these types, so that parameters and outputs are known.

        Parameters
        ----------
        types : dict of str to TensorType
        structure : nested lists, tuples and dicts, optional
            With the inputs' names as leaves; by default one after the other.
        """
        inputs = _values(types)
        if structure is None:
            structure = list(types) if len(types) > 1 else next(iter(types))
        with unbuilt_on_error(self):
            args, kwargs = self._arranged(inputs, structure)
            outputs = self.record(*args, **kwargs)
            self._signature = make_signature(inputs, outputs, input_structure=structure)
            named_outputs = zip(self._signature.outputs, flatten(outputs), strict=True)
            self._settled, self._trace = (inputs, dict(named_outputs)), None


def _values(types: Mapping[str, TensorType]) -> dict[str, Value]:
    return {name: input_value(name, t.shape, t.dtype) for name, t in types.items()}


def _shapes(structure: Any, types: Mapping[str, TensorType]) -> Shape | Any:
    return map_leaves(lambda name: types[name].shape, structure)
