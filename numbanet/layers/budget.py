"""A limit on new parameters, for models that a file describes.

Such a model has no more elements than the file has numbers for. Whoever makes a parameter asks
first, so that a file cannot make a layer of any size it likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from numbanet.errors import FormatError
from numbanet.initializers import Fans

_LEFT: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextmanager
def budget(elements: int) -> Iterator[None]:
    """Within the block, new parameters have at most ``elements`` elements in all.

    Initializers are not asked: the numbers come from the file.
    """
    token = _LEFT.set([elements])
    try:
        yield
    finally:
        _LEFT.reset(token)


def spend(shape: Sequence[int]) -> bool:
    """Take a parameter's elements off the budget; False if there is none.

    Raises
    ------
    FormatError
        If that is more than is left.
    """
    left = _LEFT.get()
    if left is None:
        return False
    left[0] -= math.prod(shape)
    if left[0] < 0:
        raise FormatError(
            "the file describes a model with more parameters than it has numbers",
            got=f"a parameter of shape {tuple(shape)}",
        )
    return True


def first_numbers(
    initializer: Callable[[tuple[int, ...], Fans], np.ndarray],
    shape: tuple[int, ...],
    fans: Fans,
) -> np.ndarray:
    """What ``initializer`` draws; zeros, if a file brings the numbers."""
    return np.zeros(shape) if spend(shape) else initializer(shape, fans)
