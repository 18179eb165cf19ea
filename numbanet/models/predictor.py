"""Prediction: a model's outputs for arrays, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from numbanet.compile import compile_program
from numbanet.errors import DataError
from numbanet.ir import TensorType
from numbanet.models.callbacks import CallbackList
from numbanet.models.graphs import prediction_graph
from numbanet.models.trainer import homes
from numbanet.runtime.device import Device, Executable

if TYPE_CHECKING:
    from numbanet.models.model import Model

Arrays = Mapping[str, np.ndarray]


class Predictor:
    """Loaded programs of a model's inference, one for each batch size."""

    def __init__(self, model: Model, device: Device) -> None:
        self.model = model
        self.device = device
        self._loaded: dict[object, Executable] = {}

    def predict(
        self, batches: Iterable[Arrays], callbacks: CallbackList
    ) -> dict[str, np.ndarray]:
        """All outputs for all batches of inputs, by name."""
        parts: list[Arrays] = []
        tells = callbacks.wants_batches("predict")
        callbacks.call("on_predict_begin", {})
        for i, batch in enumerate(batches):
            if tells:
                callbacks.call("on_predict_batch_begin", i, {})
            parts.append(self.run(batch))
            if tells:
                callbacks.call("on_predict_batch_end", i, {"outputs": parts[-1]})
        callbacks.call("on_predict_end", {})
        if not parts:
            raise DataError("there is nothing to predict", got="no batches")
        names = self.model.signature.outputs
        if len(parts) == 1:
            return dict(parts[0])
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def run(self, batch: Arrays) -> dict[str, np.ndarray]:
        """The outputs for one batch."""
        executable = self._load(len(next(iter(batch.values()))))
        for name, array in batch.items():
            executable.bind(name, array)
        executable.run()
        return {name: executable.output(name) for name in self.model.signature.outputs}

    def _load(self, size: int) -> Executable:
        key = (size, homes(self.model))
        if key not in self._loaded:
            types = {
                name: TensorType((size, *type_.shape[1:]), type_.dtype)
                for name, type_ in self.model.signature.inputs.items()
            }
            program = compile_program(prediction_graph(self.model, types), self.device)
            self._loaded[key] = self.device.load(program)
        return self._loaded[key]


def batches_of(inputs: Arrays, samples: int, batch_size: int) -> Iterator[Arrays]:
    """Arrays cut into batches, the last of which has what is left."""
    for start in range(0, samples, batch_size):
        yield {name: array[start : start + batch_size] for name, array in inputs.items()}
