"""Where hyperparameters may lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from numbanet.errors import ArgumentError


class Range(NamedTuple):
    """What a number is to be, in words and as a test that NaN fails."""

    text: str
    holds: Callable[[float], bool]


NOT_NEGATIVE = Range("not negative", lambda x: x >= 0)
POSITIVE = Range("positive", lambda x: x > 0)
FRACTION = Range("in [0, 1]", lambda x: 0 <= x <= 1)
DECAY = Range("in [0, 1)", lambda x: 0 <= x < 1)


def check(numbers: Mapping[str, float], ranges: Mapping[str, Range]) -> None:
    """Raise ArgumentError for the first of ``numbers`` that is not where it may be."""
    for name, number in numbers.items():
        range_ = ranges.get(name)
        if range_ is not None and not range_.holds(number):
            raise ArgumentError(f"{name} is {range_.text}", got=repr(number))
