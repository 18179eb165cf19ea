"""The ``training`` argument of calls.

A graph is recorded in the form that training has, and each op knows its form for inference. So
layers need not be told; models that are written for Keras tell them all the same, and may call
one as at inference within training: ``base(x, training=False)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from numbanet.ir import Graph, Value, topological
from numbanet.layers.masks import mask_of, with_mask
from numbanet.layers.structure import flatten, map_leaves
from numbanet.passes.inference import inference

_IS_TRAINING: ContextVar[bool] = ContextVar("numbanet_is_training", default=True)


@contextmanager
def phase(is_training: bool | None) -> Iterator[None]:
    """What ``training`` is for modules that the block records; None for what it is already.

    Raises
    ------
    NotImplementedError
        For a part that is as in training where what is around it is not.
    """
    before = _IS_TRAINING.get()
    if is_training and not before:
        raise NotImplementedError("training=True within inference is not supported")
    token = _IS_TRAINING.set(before if is_training is None else bool(is_training))
    try:
        yield
    finally:
        _IS_TRAINING.reset(token)


def with_training(forward: Callable[..., Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """``kwargs`` with ``training`` if ``forward`` has such a parameter, and without if not."""
    parameters = inspect.signature(forward).parameters
    rest = {name: given for name, given in kwargs.items() if name != "training"}
    return rest if "training" not in parameters else {**rest, "training": _IS_TRAINING.get()}


def at_inference(inputs: Iterable[Value], outputs: Any) -> Any:
    """``outputs``, nested as they are, with all ops since ``inputs`` as at inference."""
    leaves = [leaf for leaf in flatten(outputs) if isinstance(leaf, Value)]
    graph = Graph((), {str(number): leaf for number, leaf in enumerate(leaves)})
    found = inference(graph, kept=frozenset(topological(inputs))).outputs.values()
    new = dict(zip(leaves, found, strict=True))
    return map_leaves(
        lambda leaf: with_mask(new[leaf], mask_of(leaf)) if leaf in new else leaf, outputs
    )
