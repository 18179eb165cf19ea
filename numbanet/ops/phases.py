"""What depends on when a graph runs: state that it moves on, and training or inference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numbanet.ir.op import Arg, Attrs, Case, Op, register
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.checks import require_shape
from numbanet.ops.elementwise import common_dtype
from numbanet.ops.leaf import variable_of


def carry(y: Value, states: Sequence[tuple[Value, Value]]) -> Value:
    """``y``, whose graph also replaces variables at the end of a run.

    Parameters
    ----------
    y : Value
    states : sequence of (Value, Value)
        The leaf of a variable, and what it becomes: values of one type.

    Returns
    -------
    Value
        The numbers of ``y``. A graph that it is not part of replaces nothing.
    """
    olds, news = zip(*states, strict=True)
    return CARRY(y, *olds, *news)[0]


def by_phase(training: Value, inference: Value) -> Value:
    """``training`` while a model is trained, ``inference`` otherwise: of one type."""
    return BY_PHASE(training, inference)


def _infer_carry(_: Attrs, y: TensorType, *states: TensorType) -> tuple[TensorType, ...]:
    olds, news = _halves(states)
    for old, new in zip(olds, news, strict=True):
        require_shape("carry", "a state's next value", new, old.shape)
        common_dtype("carry", (old, new))
    return y, *news


def _halves(states: Sequence) -> tuple[Sequence, Sequence]:
    count = len(states) // 2
    return states[:count], states[count:]


def _carry_updates(node: Node) -> tuple[tuple[Value, Value], ...]:
    olds, _ = _halves(node.inputs[1:])
    pairs = zip(olds, node.outputs[1:], strict=True)
    return tuple((old, new) for old, new in pairs if variable_of(old) is not None)


def _carry_gradient(node: Node, g: Value | None, *gs: Value | None) -> tuple[Value | None, ...]:
    return g, *[None] * len(gs), *gs


def _infer_by_phase(_: Attrs, training: TensorType, inference: TensorType) -> TensorType:
    require_shape("by_phase", "the value at inference", inference, training.shape)
    common_dtype("by_phase", (training, inference))
    return training


CARRY = register(
    Op(
        "carry",
        infer=_infer_carry,
        reference=lambda _, y, *states: (y, *_halves(states)[1]),
        gradient=_carry_gradient,
        decompose=lambda node: (node.inputs[0], *_halves(node.inputs[1:])[1]),
        updates=_carry_updates,
        cases=(
            Case((Arg((2, 3)), Arg((4,)), Arg((4,)))),
            Case((Arg((0, 3)), Arg(()), Arg((2, 1)), Arg(()), Arg((2, 1)))),
        ),
    )
)
"""``(y, old, .., new, ..) -> (y, new, ..)``."""

BY_PHASE = register(
    Op(
        "by_phase",
        infer=_infer_by_phase,
        reference=lambda _, training, inference: np.array(training),
        gradient=lambda node, g: (g, None),
        decompose=lambda node: (node.inputs[0],),
        inference=lambda node: (node.inputs[1],),
        cases=(Case((Arg((2, 3)), Arg((2, 3)))), Case((Arg(()), Arg(())))),
    )
)
"""``(training, inference) -> training``, and at inference the other."""
