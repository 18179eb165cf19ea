"""Prediction: a model's outputs for arrays, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from numbanet.compile import compile_program
from numbanet.ir import TensorType
from numbanet.models.graphs import prediction_graph
from numbanet.models.trainer import homes
from numbanet.runtime.device import Device, Executable

if TYPE_CHECKING:
    from numbanet.models.model import Model


class Predictor:
    """Loaded programs of a model's inference, one for each batch size."""

    def __init__(self, model: Model, device: Device) -> None:
        self.model = model
        self.device = device
        self._loaded: dict[object, Executable] = {}

    def predict(
        self, inputs: Mapping[str, np.ndarray], samples: int, batch_size: int
    ) -> dict[str, np.ndarray]:
        """All outputs for all samples, by name."""
        parts: list[dict[str, np.ndarray]] = []
        for start in range(0, samples, batch_size):
            batch = {k: array[start : start + batch_size] for k, array in inputs.items()}
            parts.append(self._run(batch, min(batch_size, samples - start)))
        names = self.model.signature.outputs
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def _run(self, batch: Mapping[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
        executable = self._load(size)
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
