"""Prediction: a model's outputs for arrays, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from numbanet.compile import compile_program
from numbanet.errors import DataError
from numbanet.ir import Shape, TensorType
from numbanet.ir.resident import Array
from numbanet.models.callbacks import CallbackList
from numbanet.models.graphs import prediction_graph
from numbanet.models.signature import Signature
from numbanet.models.trainer import homes
from numbanet.runtime.device import Device, Executable
from numbanet.state.flat import FlatState

if TYPE_CHECKING:
    from numbanet.models.model import Model

Arrays = Mapping[str, np.ndarray]
Batch = Mapping[str, Array]
"""Inputs, on the host or on the device."""


class Predictor:
    """Loaded programs of a model's inference, one for each batch size."""

    def __init__(self, model: Model, device: Device) -> None:
        self.model = model
        self.device = device
        self._loaded: dict[int, Executable] = {}
        self._ready: dict[tuple[object, np.dtype], tuple[Executable, str, str]] = {}
        self._moves = -1
        self._homes: tuple[object, ...] = ()
        self._plain = _plain(model.signature)

    def predict(
        self, batches: Iterable[Batch], callbacks: CallbackList, together: int = 1
    ) -> dict[str, np.ndarray]:
        """All outputs for all batches of inputs, by name.

        Hooks for batches are called before and after so many of them ``together``.
        """
        parts: list[Arrays] = []
        tells = callbacks.wants_batches("predict")
        callbacks.call("on_predict_begin", {})
        remaining = iter(batches)
        while execution := list(islice(remaining, together if tells else 1)):
            if tells:
                callbacks.call("on_predict_batch_begin", len(parts), {})
            found = [self.run(batch) for batch in execution]
            parts += found
            if tells:
                outputs = _concatenated(found)
                callbacks.call("on_predict_batch_end", len(parts) - 1, {"outputs": outputs})
        callbacks.call("on_predict_end", {})
        if not parts:
            raise DataError("there is nothing to predict", got="no batches")
        return _concatenated(parts)

    def run(self, batch: Batch) -> dict[str, np.ndarray]:
        """The outputs for one batch."""
        executable = self._load(len(next(iter(batch.values()))))
        for name, array in batch.items():
            executable.bind(name, array)
        executable.run()
        return {name: executable.output(name) for name in self.model.signature.outputs}

    def repeat(self, x: object, batch_size: int) -> np.ndarray | None:
        """The output for an array that can be taken as it is; None if that has to be seen to.

        So it is for a batch of a size that there was before, if the model has one input and
        one output: what a server asks for all day long, and a few microseconds of Python.
        """
        if type(x) is not np.ndarray or self._moves != FlatState.moves:
            return None
        ready = self._ready.get((x.shape, x.dtype))
        if ready is None or len(x) > batch_size:
            return None
        executable, name, output = ready
        return executable.call(name, x, output)

    def _load(self, size: int) -> Executable:
        if self._moves != FlatState.moves:
            self._forget_stale()
        if size not in self._loaded:
            types = {
                name: TensorType((size, *type_.shape[1:]), type_.dtype)
                for name, type_ in self.model.signature.inputs.items()
            }
            program = compile_program(prediction_graph(self.model, types), self.device)
            self._loaded[size] = self.device.load(program)
            if self._plain is not None:
                name, dtype, sizes, output = self._plain
                self._ready[(size, *sizes), dtype] = self._loaded[size], name, output
        return self._loaded[size]

    def _forget_stale(self) -> None:
        """Drop the programs if variables of the model are elsewhere than they were."""
        now = homes(self.model)
        if now != self._homes:
            self._loaded.clear()
            self._ready.clear()
        self._homes, self._moves = now, FlatState.moves


def _concatenated(parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Outputs of one batch after the other, by name."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _plain(signature: Signature) -> tuple[str, np.dtype, Shape, str] | None:
    """The only input, its dtype and a sample's shape, and the only output, if it is so."""
    if len(signature.inputs) > 1 or not isinstance(signature.structure, str):
        return None
    ((name, type_),) = signature.inputs.items()
    if signature.id_limits:
        return None
    return name, type_.dtype.numpy, type_.shape[1:], signature.structure


def batches_of(inputs: Batch, samples: int, batch_size: int) -> Iterator[Batch]:
    """Arrays cut into batches, the last of which has what is left."""
    for start in range(0, samples, batch_size):
        yield {name: array[start : start + batch_size] for name, array in inputs.items()}
