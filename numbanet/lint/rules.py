"""The rules. Each takes a model with its losses and data, and says what it finds.

A rule that cannot be sure says nothing: a healthy model never warns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from numbanet.ir import Value, topological
from numbanet.layers.masks import end_of_mask
from numbanet.lint.subject import Subject
from numbanet.lint.values import (
    behind,
    comes_from,
    is_linear,
    is_no_logarithm,
    is_product,
    readers,
)
from numbanet.lint.warning import Finding
from numbanet.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    SparseCategoricalCrossentropy,
)
from numbanet.ops.leaf import variable_of

Rule = Callable[[Subject], Iterator[Finding]]

_CATEGORICAL = (SparseCategoricalCrossentropy, CategoricalCrossentropy)
_ENTROPIES = (*_CATEGORICAL, BinaryCrossentropy)

_SAMPLES_A_CLASS = 20
"""So many samples for each class that the output has, and none of the last ones among them."""

_LOOKED_AT = 100_000
"""Elements of an input that are looked at."""


def softmax_before_logits(subject: Subject) -> Iterator[Finding]:
    """NB101: the loss applies softmax to what are probabilities already."""
    for name, loss in subject.losses.items():
        output = subject.outputs[name]
        if _takes_logits(loss, _CATEGORICAL) and comes_from(output, "softmax"):
            yield _activated("NB101", "softmax", _place(output, name), loss.name)


def sigmoid_before_logits(subject: Subject) -> Iterator[Finding]:
    """NB102: the loss applies sigmoid to what are probabilities already."""
    for name, loss in subject.losses.items():
        output = subject.outputs[name]
        if _takes_logits(loss, (BinaryCrossentropy,)) and comes_from(output, "sigmoid"):
            yield _activated("NB102", "sigmoid", _place(output, name), loss.name)


def probabilities_expected(subject: Subject) -> Iterator[Finding]:
    """NB104: a loss that takes probabilities gets what a layer without activation returns."""
    for name, loss in subject.losses.items():
        output = subject.outputs[name]
        if isinstance(loss, _ENTROPIES) and not loss.from_logits and is_linear(output):
            activation = "softmax" if isinstance(loss, _CATEGORICAL) else "sigmoid"
            yield Finding(
                "NB104",
                _place(output, name),
                f"{loss.name} takes probabilities, and the output has no activation",
                f"Give the loss from_logits=True, or the last layer activation={activation!r}",
            )


def labels_out_of_proportion(subject: Subject) -> Iterator[Finding]:
    """NB105: one class only, or classes that no label of a large data set names."""
    for name, loss in subject.losses.items():
        output, labels = subject.outputs[name], subject.y.get(name)
        if not isinstance(loss, _CATEGORICAL):
            continue
        classes = output.shape[loss.axis] or 0
        if classes == 1:
            yield Finding(
                "NB105",
                _place(output, name),
                f"{loss.name} of one class is always zero",
                "Give the last layer one unit for each class, or use binary_crossentropy",
            )
        elif labels is not None and isinstance(loss, SparseCategoricalCrossentropy):
            largest = int(labels.max(initial=0))
            if labels.size >= _SAMPLES_A_CLASS * classes and largest + 1 < classes:
                yield Finding(
                    "NB105",
                    _place(output, name),
                    f"the output has {classes} classes, and the labels end at {largest}",
                    f"Give the last layer {largest + 1} units, unless classes are to come",
                )


def unreached_parameters(subject: Subject) -> Iterator[Finding]:
    """NB106: layers that training does not change, though they are not frozen."""
    if not subject.terms:
        return  # It is not meant to be trained.
    reached = {variable_of(node.outputs[0]) for node in topological(subject.terms)}
    lost: dict[str, None] = {}
    for path, variable in subject.model.trainable_variables().items():
        if variable not in reached:
            lost.setdefault(path.rpartition("/")[0])
    for layer in lost:
        yield Finding(
            "NB106",
            f"layer {layer!r}" if layer else "the model",
            "has parameters that no loss reaches: training leaves them as they are",
            "Use what it returns, take it out, or set its trainable to False",
        )


def dropout_after_output(subject: Subject) -> Iterator[Finding]:
    """NB107: predictions that are dropped at random while the model is trained."""
    for name, output in subject.outputs.items():
        if comes_from(output, "dropout"):
            yield Finding(
                "NB107",
                _place(output, name),
                "dropout comes after the output: the loss sees zeros for predictions",
                "Put it before the last layer",
            )


def normalized_alone(subject: Subject) -> Iterator[Finding]:
    """NB108: statistics of a single sample, which is nothing like what inference uses."""
    if subject.batch_size != 1:
        return
    places = {
        node.path: None for node in topological(subject.terms) if node.op.name == "batch_norm"
    }
    for path in places:
        yield Finding(
            "NB108",
            f"layer {path!r}",
            "normalizes a batch of one sample by that sample's own statistics",
            "Use larger batches, or LayerNormalization or GroupNormalization",
        )


def unscaled_input(subject: Subject) -> Iterator[Finding]:
    """NB109: pixels as they come in files, right into a layer's weights."""
    used = readers(subject.inputs.values(), subject.terms)
    into_weights = {value for value, op in used if is_product(op)}
    for name, array in subject.x.items():
        if subject.inputs[name] in into_weights and _are_bytes(array):
            yield Finding(
                "NB109",
                f"input {name!r}",
                f"holds whole numbers up to {array.reshape(-1)[:_LOOKED_AT].max():g}",
                "Divide them by 255, or begin with Rescaling(1 / 255)",
            )


def masks_that_end(subject: Subject) -> Iterator[Finding]:
    """NB110: steps that are padding, before a layer that takes them for data."""
    values = (value for node in topological(subject.terms) for value in node.outputs)
    for layer in dict.fromkeys(map(end_of_mask, values)):
        if layer is not None:
            yield Finding(
                "NB110",
                layer,
                "takes no notice of its input's mask: padding counts from here on",
                "Use a layer that supports masking, or leave mask_zero and Masking out",
            )


RULES: tuple[Rule, ...] = (
    softmax_before_logits,
    sigmoid_before_logits,
    probabilities_expected,
    labels_out_of_proportion,
    unreached_parameters,
    dropout_after_output,
    normalized_alone,
    unscaled_input,
    masks_that_end,
)


# For functions on values, which know their own arguments only.


def loss_of_logits(loss: str, value: Value, activation: str) -> Iterator[Finding]:
    """NB101 and NB102: what ``loss`` takes as logits has been through ``activation``."""
    if comes_from(value, activation):
        code = "NB101" if activation == "softmax" else "NB102"
        yield _activated(code, activation, _path(value), loss)


def loss_of_logarithms(loss: str, value: Value) -> Iterator[Finding]:
    """NB103: what ``loss`` takes as log-probabilities comes out of something else."""
    if is_no_logarithm(value):
        yield Finding(
            "NB103",
            _path(value),
            f"{loss} takes log-probabilities, and gets what {behind(value).node.op.name} gives",
            "Put log_softmax before it, or use cross_entropy on logits",
        )


def _takes_logits(loss: Loss, kinds: tuple[type[Loss], ...]) -> bool:
    return isinstance(loss, kinds) and bool(getattr(loss, "from_logits", False))


def _activated(code: str, activation: str, where: str, loss: str) -> Finding:
    return Finding(
        code,
        where,
        f"{loss} takes logits, and gets what {activation} has made of them",
        f"Leave {activation} out, or let the loss take probabilities",
    )


def _place(output: Value, name: str) -> str:
    path = behind(output).path
    return f"layer {path!r}" if path else f"output {name!r}"


def _path(value: Value) -> str:
    path = behind(value).path
    return f"layer {path!r}" if path else ""


def _are_bytes(array: np.ndarray) -> bool:
    """Whether numbers look like pixels: many to a sample, whole, from 0 to 255."""
    sample = array[0].size if len(array) else 0
    part = array.reshape(-1)[:_LOOKED_AT]
    if sample < 16 or array.dtype.kind != "f" or not part.size:
        return False
    low, high = part.min(), part.max()
    return bool(low >= 0 and 128 <= high <= 255 and (part == np.floor(part)).all())
