"""Recording: a call on tensors is found in the tree, or added to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.ops.leaf import constant, input_value
from numbanet.ops.random import random_source
from numbanet.tensors import tree
from numbanet.tensors.arguments import PLACEHOLDER, described, substitute
from numbanet.tensors.modes import MODES
from numbanet.tensors.numbers import Place, as_data, common_dtype, may_vary, numbers_of
from numbanet.tensors.replay import make_guard, remember
from numbanet.tensors.symbolic import variable_leaf
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import Call, Record, Trace, leaf_type
from numbanet.tensors.traces import trace_for


def call(
    function: Callable[..., Any],
    key: list[Any],
    tensors: list[Tensor],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    random: int | None = None,
) -> Any:
    """The result of ``function``, a function of values, on tensors.

    Parameters
    ----------
    function : callable
    key : list
        What makes this call another than others, apart from the tensors.
    tensors : list of Tensor
        All tensors among the arguments, in order.
    random : int, optional
        If the last of ``tensors`` is no argument, but the seed of random states: how many of
        these were taken before. By default the trace's own seed is used.
    """
    trace = trace_for(function, tensors)
    first = trace.count
    shape = tuple(key)
    key.append(MODES.grad)
    key.append(random)
    slots = _number(trace, tensors, key)
    try:
        record = trace.record.following.get(tuple(key))
        if record is None:
            place = trace.record.place.next(_common(function, shape, args, kwargs))
            dtype = _varies(place, function, tensors, args, kwargs)
            if dtype is not None:
                _take_back(trace, first)
                args, kwargs = as_data(args, kwargs, dtype)
                return call(function, *described(function, args, kwargs), args, kwargs, random)
            made = Call(function, args, kwargs, tuple(slots), MODES.grad, random)
            record = _record(trace, made, tensors, range(first, trace.count))
            record.place = place
            tree.add(trace.record, tuple(key), record)
    except BaseException as error:
        _take_back(trace, first)
        if isinstance(error, TypeError) and "unhashable" in str(error):
            raise ArgumentError(
                f"{function.__name__}() with such an argument: {error}"
            ) from error
        raise
    if random is None:
        _remember(trace, function, record, args, kwargs)
    trace.move(record)
    results = trace.make(record.templates)
    if record.is_view:
        tensors[0].add_views(results)
    return results[0] if record.restore is None else record.restore(results)


def _remember(
    trace: Trace,
    function: Callable[..., Any],
    record: Record,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Expect the call that leads to ``record`` to come again."""
    known = trace.record.ways.get(function)
    if known is None or known.record is not record:
        guard = make_guard(record, args, kwargs, trace)
        if guard is not None:
            remember(trace.record, function, guard)


def _common(
    function: Callable[..., Any],
    shape: tuple[Any, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Any, ...]:
    """What calls at one place have in common; ``shape`` is all but the tensors."""
    return (function, len(args), *kwargs) if may_vary(function) else shape


def _varies(
    place: Place,
    function: Callable[..., Any],
    tensors: list[Tensor],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> DType | None:
    """The dtype that the call's numbers take as data; None if they stay as they are."""
    if not may_vary(function):
        return None
    numbers = numbers_of(args, kwargs)
    dtype = common_dtype(tensors)
    return dtype if numbers and dtype is not None and place.varies(numbers) else None


def _number(trace: Trace, tensors: list[Tensor], key: list[Any]) -> list[int]:
    """The slots of ``tensors``, and what matters of them into ``key``."""
    slots = []
    for tensor in tensors:
        slot, is_new = trace.enter(tensor)
        if is_new:
            key.append(leaf_type(tensor))
        key.append(slot)
        slots.append(slot)
    return slots


def _take_back(trace: Trace, first: int) -> None:
    for slot in range(first, trace.count):
        trace.drop_leaf(slot)
    trace.count = first


def _record(trace: Trace, made: Call, tensors: list[Tensor], new: Iterable[int]) -> Record:
    """A record of a call that was not seen before at this place."""
    parent = trace.record
    leaves = [leaf_value(trace.leaves[slot], slot) for slot in new]
    values = [*parent.values(), *leaves]
    source = _Source(parent, values, leaves, made)
    inputs = iter([values[slot] for slot in made.tensors])
    with random_source(source):
        returned = made.function(
            # A tuple: Python would run a generator after the keywords' expressions.
            *tuple(substitute(each, inputs) for each in made.args),
            **{name: substitute(each, inputs) for name, each in made.kwargs.items()},
        )
    results, restore = flatten_results(returned)
    moving = [tensor for tensor in tensors if tensor.requires_grad]
    needs = bool(moving)
    detaches = getattr(made.function, "detaches", False) or not made.grad
    if needs and detaches:
        results = [ops.stop_gradient(v) if v.dtype.is_floating else v for v in results]
    places = iter([PLACEHOLDER] * len(tensors))
    return Record(
        parent=parent,
        call=Call(
            made.function,
            tuple(substitute(each, places) for each in made.args),
            {name: substitute(each, places) for name, each in made.kwargs.items()},
            made.tensors,
            made.grad,
            made.random,
        ),
        first=parent.end,
        leaves=tuple(leaves),
        results=tuple(results),
        requires_grad=tuple(
            needs and not detaches and value.dtype.is_floating for value in results
        ),
        restore=restore,
        random=parent.random if made.random is not None else source.taken,
        made=trace.number,
        brings_seed=source.is_new,
        is_view=getattr(made.function, "is_view", False),
        is_spent=needs and all(tensor.is_spent for tensor in moving),
    )


class _Source:
    """Random states: a seed, a leaf of the trace, and the number of the state."""

    def __init__(
        self, parent: Record, values: list[Value], leaves: list[Value], made: Call
    ) -> None:
        self.is_new = False
        self._values = values
        self._leaves = leaves
        if made.random is None:
            self.taken = parent.random
            self._seed = _seed_of(parent, values)
        else:
            self.taken = made.random
            self._seed = values[made.tensors[-1]]

    def __call__(self) -> tuple[Value, Value]:
        if self._seed is None:
            self._seed = input_value(f"slot{len(self._values)}", (), DType.INT64)
            self._leaves.append(self._seed)
            self.is_new = True
        self.taken += 1
        return self._seed, constant(np.int64(self.taken))


def _seed_of(record: Record, values: list[Value]) -> Value | None:
    """The trace's seed, if a record up to this one brought it."""
    for each in record.path():
        if each.brings_seed:
            return values[each.leaf_slots[-1]]
    return None


def leaf_value(tensor: Tensor, slot: int) -> Value:
    """The value that a leaf is read as."""
    if tensor.variable is not None:
        return variable_leaf(tensor)
    return input_value(f"slot{slot}", tensor.tensor_type.shape, tensor.tensor_type.dtype)


def flatten_results(returned: Any) -> tuple[list[Value], Callable[[list[Any]], Any] | None]:
    """Values of a call, and what makes of as many tensors what the call returns; None if that
    is the only one."""
    if isinstance(returned, Value):
        return [returned], None
    kind = type(returned)
    if hasattr(kind, "_fields"):
        return list(returned), lambda results: kind(*results)
    if isinstance(returned, list | tuple):
        nested = [flatten_results(each) for each in returned]
        counts = [len(values) for values, _ in nested]

        def restore(results: list[Any]) -> Any:
            rest = iter(results)
            return kind(
                next(rest) if part is None else part([next(rest) for _ in range(count)])
                for count, (_, part) in zip(counts, nested, strict=True)
            )

        return [value for values, _ in nested for value in values], restore
    if returned is None:
        return [], lambda results: None
    raise ArgumentError(
        "a function of tensors returns values, or tuples of them", got=kind.__name__
    )
