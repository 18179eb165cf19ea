"""Statements of generated kernels that take a number apart into indices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def divide(quotient: str, rest: str, number: str, divisor: int) -> Iterator[str]:
    """Unsigned division by a constant, which compilers turn into a multiplication."""
    if divisor == 1:
        yield f"{quotient} = uint32({number})"
        yield f"{rest} = uint32(0)"
    else:
        yield f"{quotient} = uint32(uint32({number}) // uint32({divisor}))"
        yield f"{rest} = uint32({number} - {quotient} * uint32({divisor}))"


def unravel(number: str, first: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """Indices of element ``number`` of a row-major tensor ``[first, *sizes]``, as int32.

    The size of the first axis need not be known.
    """
    rest = number
    for i, (name, size) in enumerate(reversed(list(sizes.items()))):
        yield from divide(f"rest{i}", f"index{i}", rest, size)
        yield f"{name} = int32(index{i})"
        rest = f"rest{i}"
    yield f"{first} = int32({rest})"


def quotient(number: str, divisor: int) -> str:
    """Source of an unsigned quotient."""
    return f"uint32(uint32({number}) // uint32({divisor}))"


def rest(number: str, divisor: int) -> str:
    """Source of an unsigned remainder."""
    return f"uint32(uint32({number}) % uint32({divisor}))"
