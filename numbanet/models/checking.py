"""The lint of a model, before it runs: once when its inputs are known, once for its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

import numpy as np

from numbanet import lint
from numbanet.ir import TensorType, Value
from numbanet.ir.resident import Array
from numbanet.layers.penalties import penalties
from numbanet.losses import FunctionLoss, Loss
from numbanet.models.compiled import Compiled
from numbanet.models.data import ArraySource, Source
from numbanet.models.graphs import weight_penalties
from numbanet.ops.leaf import input_value

if TYPE_CHECKING:
    from numbanet.models.model import Model
    from numbanet.models.training import Trainable

_SAMPLES = 2
"""Batch size to record with: rules want to know all sizes."""

_TOLD: WeakKeyDictionary[Trainable, tuple[Compiled, set[lint.Finding]]] = WeakKeyDictionary()
"""What each model's user has been told since it was compiled."""


def lint_model(model: Trainable, compiled: Compiled, source: Source | None = None) -> None:
    """Warn of what the lint finds in a compiled model whose inputs are known.

    Parameters
    ----------
    source : Source, optional
        What it is about to be trained on.
    """
    before, told = _TOLD.get(model, (None, set()))
    if before is not compiled:
        told = set()
        _TOLD[model] = compiled, told
    new = dict.fromkeys(lint.check(_subject(model, compiled, source)))
    lint.warn(finding for finding in new if finding not in told)
    told.update(new)


def _subject(model: Trainable, compiled: Compiled, source: Source | None) -> lint.Subject:
    signature = model.signature
    losses = compiled.objective(signature).terms
    inputs = {name: _input(name, type_) for name, type_ in signature.inputs.items()}
    recorder = cast("Model", model)
    with penalties() as added:
        outputs = recorder.record_on(inputs)
    terms = [_term(loss, outputs[name]) for name, loss in losses.items()]
    terms += [*added, *weight_penalties(recorder)]
    data = source.data if isinstance(source, ArraySource) else None
    return lint.Subject(
        model,
        inputs,
        outputs,
        losses,
        tuple(terms),
        x={} if data is None else _hosted(data.inputs),
        y={} if data is None else _hosted(data.targets),
        batch_size=source.batch_size if isinstance(source, ArraySource) else None,
    )


def _term(loss: Loss, output: Value) -> Value:
    """What the loss makes of an output; of a function, which may want targets of any shape, the
    output itself stands for it."""
    if isinstance(loss, FunctionLoss):
        return output
    return loss(_input("y", loss.target_type(output.type)), output)


def _hosted(arrays: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """What can be looked at without waiting for a device."""
    return {name: each for name, each in arrays.items() if isinstance(each, np.ndarray)}


def _input(name: str, type_: TensorType) -> Value:
    samples, *sizes = type_.shape
    return input_value(name, (samples or _SAMPLES, *sizes), type_.dtype)
