"""Layers around a layer: in both directions of time, and at each moment."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.layers.layer import Layer
from numbanet.layers.module import Module
from numbanet.layers.recurrent import RNN
from numbanet.layers.structure import flatten, map_leaves

_MERGES: dict[str | None, Callable[[Value, Value], Any]] = {
    "concat": lambda a, b: ops.concatenate([a, b], -1),
    "sum": ops.add,
    "mul": ops.multiply,
    "ave": lambda a, b: (a + b) / 2,
    None: lambda a, b: (a, b),
}


class Bidirectional(Layer):
    """A recurrent layer forwards and another backwards in time (Schuster and Paliwal, 1997).

    Parameters
    ----------
    layer : RNN
        `SimpleRNN`, `LSTM`, `GRU` or `RNN`. Two layers are made as it was.
    merge_mode : {"concat", "sum", "mul", "ave", None}
        How their outputs become one; None returns both.
    weights : list of array, optional
        First weights, in the order of ``get_weights``.
    backward_layer : RNN, optional
        Used for the second, as it is.
    **options
        As of `Layer`.

    Raises
    ------
    ArgumentError
        If the layers do not go in different directions, or do not return the same.
    """

    def __init__(
        self,
        layer: RNN,
        merge_mode: str | None = "concat",
        weights: Sequence[np.ndarray] | None = None,
        backward_layer: RNN | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if merge_mode not in _MERGES:
            raise ArgumentError(
                "unknown merge_mode",
                got=repr(merge_mode),
                expected=", ".join(map(repr, _MERGES)),
            )
        for each in (layer, backward_layer):
            if not isinstance(each, RNN | None):
                raise ArgumentError("Bidirectional takes recurrent layers", got=repr(each))
        self.merge_mode = merge_mode
        self._first_weights = weights
        self.forward_layer = _copy(layer, "forward", go_backwards=layer.go_backwards)
        self.backward_layer = (
            _copy(layer, "backward", go_backwards=True)
            if backward_layer is None
            else backward_layer
        )
        first, second = self.forward_layer, self.backward_layer
        if first.go_backwards == second.go_backwards:
            raise ArgumentError("both layers go in one direction", got=f"{first} and {second}")
        for name in ("return_sequences", "return_state"):
            if getattr(first, name) != getattr(second, name):
                raise ArgumentError(f"the layers of Bidirectional differ in {name}")
        for each in (first, second):
            each.zero_output_for_mask = each.return_sequences
        self.return_sequences, self.return_state = first.return_sequences, first.return_state

    def forward(
        self, sequences: Value, initial_state: Any = None, mask: Value | None = None
    ) -> Any:
        """Record both layers.

        Parameters
        ----------
        sequences : Value
        initial_state : list of Value, optional
            Of the forward layer, then of the backward one.
        mask : Value, optional
            Bools ``(batch, steps)``.
        """
        given = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            given = (initial_state[:half], initial_state[half:])
        outputs, states = [], []
        for layer, start in zip((self.forward_layer, self.backward_layer), given, strict=True):
            found = layer(sequences, initial_state=start, mask=mask)
            outputs.append(found[0] if self.return_state else found)
            states += found[1:] if self.return_state else ()
        if self._first_weights is not None:
            self.set_weights(list(self._first_weights))
            self._first_weights = None
        if self.return_sequences:
            outputs[1] = ops.flip(outputs[1], 1)
        merged = _MERGES[self.merge_mode](*outputs)
        if not states:
            return merged
        return (*merged, *states) if self.merge_mode is None else (merged, *states)

    def reset_states(self) -> None:
        """Begin the next batch of stateful layers with zeros."""
        self.forward_layer.reset_states()
        self.backward_layer.reset_states()

    reset_state = reset_states

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        return [mask] * (2 if self.merge_mode is None else 1)


def _copy(layer: RNN, prefix: str, *, go_backwards: bool) -> RNN:
    """A layer as ``layer`` was when it was made."""
    name = f"{prefix}_{layer.name.removeprefix(f'{prefix}_')}"
    config = layer.get_config() | {"name": name, "go_backwards": go_backwards}
    return type(layer).from_config(config)


class TimeDistributed(Layer):
    """A layer at each moment of ``(batch, steps, ...)``, with the same weights.

    All moments are one batch of the layer, so that batch normalisation sees them together.

    Parameters
    ----------
    layer : Module
    **options
        As of `Layer`.

    Raises
    ------
    ShapeError
        On an input without a known number of steps.
    """

    supports_masking = True

    def __init__(self, layer: Module, **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(layer, Module):
            raise ArgumentError("TimeDistributed takes a layer", got=repr(layer))
        self.layer = layer

    def forward(self, inputs: Value, mask: Value | None = None) -> Any:
        """Record the layer, with the ``mask`` ``(batch, steps, ...)`` if it takes one."""
        steps = inputs.shape[1] if inputs.rank > 2 else None
        if not steps or None in inputs.shape[2:]:
            raise ShapeError(
                f"{self.label} takes a known number of steps",
                got=str(inputs.shape),
                expected="(batch, steps, ...), only the batch unknown",
            )
        options = {}
        if mask is not None and "mask" in inspect.signature(self.layer.forward).parameters:
            options["mask"] = ops.reshape(mask, (-1, *mask.shape[2:]))
        found = self.layer(ops.reshape(inputs, (-1, *inputs.shape[2:])), **options)
        return map_leaves(lambda y: ops.reshape(y, (-1, steps, *y.shape[1:])), found)
