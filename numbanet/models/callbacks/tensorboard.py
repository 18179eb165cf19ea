"""A callback that writes what TensorBoard shows."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir import Value, topological
from numbanet.models.callbacks.base import Callback, Log
from numbanet.models.callbacks.events import EventWriter
from numbanet.ops.leaf import input_value


class TensorBoard(Callback):
    """Writes event files: curves of loss and metrics, histograms of weights, the graph.

    Training goes to ``log_dir/train``, validation to ``log_dir/validation``, under Keras's
    tags: ``epoch_loss``, ``batch_loss``, ``evaluation_loss_vs_iterations``.

    Parameters
    ----------
    log_dir : str or Path
    histogram_freq : int
        Write histograms of all weights each so many epochs; 0 for never.
    write_graph : bool
        Write the ops of the model.
    write_images, profile_batch, embeddings_freq, embeddings_metadata
        Not supported: only what switches them off.
    write_steps_per_second : bool
    update_freq : "epoch", "batch" or int
        Write loss and metrics of the epoch so far each so many steps, too. Each time waits for
        the step.

    Raises
    ------
    NotImplementedError
        For images, embeddings and profiles.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        for name, given in (
            ("write_images", write_images),
            ("profile_batch", profile_batch),
            ("embeddings_freq", embeddings_freq),
            ("embeddings_metadata", embeddings_metadata),
        ):
            if given:
                raise NotImplementedError(f"{name}={given!r} is not supported")
        if update_freq not in ("epoch", "batch") and not (
            isinstance(update_freq, int) and update_freq > 0
        ):
            raise ArgumentError(
                "update_freq is 'epoch', 'batch' or a number of steps", got=repr(update_freq)
            )
        self.log_dir, self.histogram_freq = Path(log_dir), histogram_freq
        self.write_graph, self.write_steps_per_second = write_graph, write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, EventWriter] = {}
        self._is_graph_written = False
        if update_freq != "epoch":
            # A hook for batches makes epochs run step by step, so only who counts has one.
            self.on_train_batch_end = self._after_step

    def on_train_begin(self, logs: Log | None = None) -> None:
        if self.write_graph and not self._is_graph_written:
            self._writer("train").graph(_nodes(self.model))
            self._is_graph_written = True
        self._step = int(self.model.optimizer.iterations.numpy())

    def on_train_end(self, logs: Log | None = None) -> None:
        for writer in self._writers.values():
            writer.close()

    def on_epoch_begin(self, epoch: int, logs: Log | None = None) -> None:
        self._began, self._first = time.perf_counter(), self._iterations()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, number in (logs or {}).items():
            kind = "validation" if name.startswith("val_") else "train"
            self._scalars(kind, f"epoch_{name.removeprefix('val_')}", number, epoch)
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._began, 1e-9)
            rate = (self._iterations() - self._first) / seconds
            self._scalars("train", "epoch_steps_per_second", rate, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, variable in self.model.variables().items():
                self._writer("train").histogram(name, variable.numpy(), epoch)

    def on_test_end(self, logs: Log | None = None) -> None:
        for name, number in (logs or {}).items():
            tag = f"evaluation_{name}_vs_iterations"
            self._scalars("validation", tag, number, self._iterations())

    def _after_step(self, batch: int, logs: Log | None = None) -> None:
        self._step += 1
        if self._step % int(self.update_freq) == 0:
            for name, number in (logs or {}).items():
                self._scalars("train", f"batch_{name}", number, self._step)

    def _iterations(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    def _writer(self, kind: str) -> EventWriter:
        if kind not in self._writers:
            self._writers[kind] = EventWriter(self.log_dir / kind)
        return self._writers[kind]

    def _scalars(self, kind: str, tag: str, number: Any, step: int) -> None:
        """One curve, or one for each element."""
        if np.ndim(number) == 0:
            self._writer(kind).scalar(tag, float(number), step)
            return
        for place, each in np.ndenumerate(number):
            index = ",".join(map(str, place))
            self._writer(kind).scalar(f"{tag}/{index}", float(each), step)


def _nodes(model: Any) -> list[tuple[str, str, list[str]]]:
    """The ops of a model: name, op, names of inputs. Names are paths, so that layers nest."""
    types = model.signature.inputs
    inputs = {name: input_value(name, t.shape, t.dtype) for name, t in types.items()}
    outputs = model.record_on(inputs)
    names: dict[Value, str] = {value: f"inputs/{name}" for name, value in inputs.items()}
    nodes = []
    for i, node in enumerate(topological(outputs.values())):
        path = f"{node.path}/" if node.path else ""
        sources = [names[value] for value in node.inputs]
        for value in node.outputs:
            name = names.setdefault(value, f"{path}{node.op.name}_{i}_{value.index}")
            nodes.append((name, node.op.name, sources))
    return nodes
