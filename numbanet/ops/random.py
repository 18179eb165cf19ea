"""Random numbers: Philox 4x32-10, and what is made with it: uniform numbers and dropout.

(Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, DTypeError
from numbanet.ir.graph import Graph, rewrite
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops import scalar
from numbanet.ops.creation import full_like
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.scalar import Scalar


@dataclass(frozen=True)
class DropoutAttrs(Attrs):
    """``stream`` keeps dropouts of one graph apart; `number_streams` gives it."""

    rate: float
    stream: int = 0


@dataclass(frozen=True)
class UniformAttrs(Attrs):
    """``stream`` as in `DropoutAttrs`; ``is_noise``: at inference the mean stands instead."""

    stream: int = 0
    is_noise: bool = False


@dataclass(frozen=True)
class RandomStateAttrs(Attrs):
    """``kind`` is ``"seed"`` or ``"step"``."""

    kind: str

    def __str__(self) -> str:
        return self.kind


def dropout(x: Value, rate: float, seed: Value, step: Value) -> Value:
    """Zero each element with probability ``rate``; scale the others to keep the mean.

    The backward pass draws the same numbers again, so that nothing is stored for it. At
    inference this is ``x``. (Srivastava et al., "Dropout", 2014.)

    Parameters
    ----------
    x : Value
        Floating-point.
    rate : float
        In ``[0, 1)``.
    seed, step : Value
        int64 scalars, see `random_state`.

    Returns
    -------
    Value
        ``x / (1 - rate)`` where ``uniform(seed, step, stream, position) >= rate``, else zero.

    Raises
    ------
    ArgumentError
        If ``rate`` is out of range.
    DTypeError
        If ``x`` is not floating-point, or seed and step are not int64 scalars.
    """
    if not 0 <= rate < 1:
        raise ArgumentError(
            "dropout() with such a rate", got=str(rate), expected="0 <= rate < 1"
        )
    return DROPOUT(x, seed, step, attrs=DropoutAttrs(float(rate)))


def random_uniform(like: Value, seed: Value, step: Value, *, is_noise: bool = False) -> Value:
    """Uniform numbers in [0, 1) of the shape and dtype of ``like``, multiples of ``2**-24``.

    Parameters
    ----------
    like : Value
        Floating-point.
    seed, step : Value
        int64 scalars, see `random_state`.
    is_noise : bool
        Whether they are noise that training adds, so that at inference each is 1/2.

    Raises
    ------
    DTypeError
        If ``like`` is not floating-point, or seed and step are not int64 scalars.
    """
    return RANDOM_UNIFORM(like, seed, step, attrs=UniformAttrs(is_noise=is_noise))


RandomSource = Callable[[], tuple[Value, Value]]

_SOURCE: ContextVar[RandomSource | None] = ContextVar("numbanet_random_source", default=None)


@contextmanager
def random_source(source: RandomSource) -> Iterator[None]:
    """Within the block, `random_state` gives what ``source`` does.

    Each call must give another pair: nothing else keeps such dropouts apart.
    """
    token = _SOURCE.set(source)
    try:
        yield
    finally:
        _SOURCE.reset(token)


def random_state() -> tuple[Value, Value]:
    """The seed and the number of the step, two int64 scalars.

    They are leaves that stand for state which whoever runs the graph keeps, unless there is a
    `random_source`; every call gives new ones that mean the same.
    """
    source = _SOURCE.get()
    if source is not None:
        return source()
    seed = RANDOM_STATE(attrs=RandomStateAttrs("seed"))
    return seed, RANDOM_STATE(attrs=RandomStateAttrs("step"))


def number_streams(graph: Graph) -> Graph:
    """Give each node of ``graph`` that draws its own stream: its number in the graph's order.

    To be done before differentiation: a gradient draws from the stream of its dropout. Nodes
    with other states than those of `random_state` are left alone: their states differ already.
    """
    drawing = (
        node
        for node in graph.nodes
        if isinstance(node.attrs, _DRAWING) and node.inputs[1].node.op is RANDOM_STATE
    )
    streams = {node: number for number, node in enumerate(drawing)}

    def renumber(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node not in streams or not isinstance(node.attrs, _DRAWING):
            return None
        attrs = replace(node.attrs, stream=streams[node])
        return node.op.node(*inputs, attrs=attrs, path=node.path).outputs

    return rewrite(graph, renumber)


_MASK = np.uint64(0xFFFFFFFF)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)


def philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox 4x32-10: four random 32-bit words for each counter.

    Parameters
    ----------
    counter : ndarray of uint64
        ``[4, ...]``, words below 2**32.
    key : (int, int)
        Words below 2**32.

    Returns
    -------
    ndarray of uint64
        Of the counter's shape.
    """
    a, b, c, d = counter
    for round_ in range(10):
        left, right = (
            np.uint64((word + round_ * step) & 0xFFFFFFFF)
            for word, step in zip(key, _WEYL, strict=True)
        )
        product, other = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b = (other >> np.uint64(32)) ^ b ^ left, other & _MASK
        c, d = (product >> np.uint64(32)) ^ d ^ right, product & _MASK
    return np.stack([a, b, c, d])


def philox_uniform(seed: int, step: int, stream: int, positions: np.ndarray) -> np.ndarray:
    """The numbers of `numbanet.ops.scalar.uniform`, exact in float32 and float64.

    Parameters
    ----------
    seed, step : int
        Of 64 bits; of the step the lower 32 count.
    stream : int
    positions : ndarray of int64

    Returns
    -------
    ndarray of float64
        In ``[0, 1)``, multiples of ``2**-24``.
    """
    places = positions.astype(np.uint64)
    blocks, lanes = places // np.uint64(4), places % np.uint64(4)
    low, high = blocks & _MASK, blocks >> np.uint64(32)
    steps = np.full_like(places, step & 0xFFFFFFFF)
    streams = np.full_like(places, stream)
    key = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)
    words = philox(np.stack([low, high, steps, streams]), key)
    word = np.take_along_axis(words, lanes[np.newaxis].astype(np.int64), axis=0)[0]
    return (word >> np.uint64(8)).astype(np.float64) * 2.0**-24


_DRAWING = (DropoutAttrs, UniformAttrs)
"""Attributes of the ops that draw from a stream."""


def _infer(name: str) -> Callable[..., TensorType]:
    def infer(_: Attrs, x: TensorType, seed: TensorType, step: TensorType) -> TensorType:
        common_dtype(name, (x,), FLOATING)
        state = TensorType((), DType.INT64)
        if seed != state or step != state:
            raise DTypeError(
                f"{name}() takes a seed and a step",
                got=f"{seed} and {step}",
                expected=str(state),
            )
        return x

    return infer


def _scalar(attrs: DropoutAttrs, x: Scalar, seed: Scalar, step: Scalar) -> Scalar:
    drawn = scalar.uniform(seed, step, attrs.stream, scalar.index(), x.dtype)
    return scalar.where(drawn >= attrs.rate, x * (1 / (1 - attrs.rate)), 0.0)


def _uniform_reference(
    attrs: DropoutAttrs | UniformAttrs, x: np.ndarray, seed: np.ndarray, step: np.ndarray
) -> np.ndarray:
    positions = np.arange(x.size).reshape(x.shape)
    # In a fused node, seed and step come broadcast to the whole shape.
    key = (int(seed.flat[0]), int(step.flat[0])) if x.size else (0, 0)
    return philox_uniform(*key, attrs.stream, positions).astype(x.dtype)


def _reference(
    attrs: DropoutAttrs, x: np.ndarray, seed: np.ndarray, step: np.ndarray
) -> np.ndarray:
    drawn = _uniform_reference(attrs, x, seed, step)
    # The rate and the scale are rounded as a kernel of this dtype rounds them.
    is_kept = drawn >= x.dtype.type(attrs.rate)
    return np.where(is_kept, x * x.dtype.type(1 / (1 - attrs.rate)), x.dtype.type(0))


def _gradient(node: Node, g: Value) -> tuple[Value, None, None]:
    return DROPOUT(g, *node.inputs[1:], attrs=node.attrs), None, None


def _uniform_scalar(attrs: UniformAttrs, x: Scalar, seed: Scalar, step: Scalar) -> Scalar:
    return scalar.uniform(seed, step, attrs.stream, scalar.index(), x.dtype)


def _uniform_inference(node: Node) -> tuple[Value, ...]:
    if not attrs_of(node, UniformAttrs).is_noise:
        return node.outputs
    return (full_like(node.inputs[0], 0.5),)


def _no_reference(attrs: Attrs) -> Any:
    raise TypeError("the random state is fed, not computed")


RANDOM_STATE = Op(
    "random_state",
    infer=lambda _: TensorType((), DType.INT64),
    reference=_no_reference,
    is_leaf=True,
)

_SEED = Arg((), DType.INT64, low=-(2**40), high=2**40)
_STEP = Arg((), DType.INT64, low=0, high=1000)

DROPOUT = register(
    Op(
        "dropout",
        infer=_infer("dropout"),
        reference=_reference,
        gradient=_gradient,
        scalar=_scalar,
        inference=lambda node: (node.inputs[0],),
        # Per element: ten rounds of two products for every four numbers, compare, scale.
        flops=lambda node: 7 * node.outputs[0].type.size,
        cases=(
            Case((Arg((7, 11)), _SEED, _STEP), DropoutAttrs(0.5)),
            Case((Arg((3, 2, 5)), _SEED, _STEP), DropoutAttrs(0.2, stream=3)),
            Case((Arg(()), _SEED, _STEP), DropoutAttrs(0.9)),
            Case((Arg((1,)), _SEED, _STEP), DropoutAttrs(0.0)),
            Case((Arg((0, 4)), _SEED, _STEP), DropoutAttrs(0.5)),
        ),
    )
)

RANDOM_UNIFORM = register(
    Op(
        "random_uniform",
        infer=_infer("random_uniform"),
        reference=_uniform_reference,
        gradient=lambda node, g: (None, None, None),
        scalar=_uniform_scalar,
        inference=_uniform_inference,
        flops=lambda node: 5 * node.outputs[0].type.size,
        cases=(
            Case((Arg((7, 11)), _SEED, _STEP), UniformAttrs()),
            Case((Arg((3, 2, 5)), _SEED, _STEP), UniformAttrs(stream=3)),
            Case((Arg(()), _SEED, _STEP), UniformAttrs()),
            Case((Arg((0, 4)), _SEED, _STEP), UniformAttrs()),
        ),
    )
)
