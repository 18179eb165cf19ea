"""Einstein sums, composed of diagonals, sums, transposes and matrix products."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir.value import Value
from numbanet.ops.matmul import matmul
from numbanet.ops.reductions import sum as sum_
from numbanet.ops.shapes import reshape, squeeze, transpose
from numbanet.ops.slices import diagonal

Term = tuple[str, Value]
"""A value, and one letter for each of its axes."""

Product = Callable[[Value, Value], Value]


def einsum(equation: str, *operands: Value, product: Product = matmul) -> Value:
    """Sums of products over named axes.

    Parameters
    ----------
    equation : str
        As ``"bij,bjk->bik"``: a letter for each axis of each operand, then those of the result.
        Letters that are not there are summed over; ``...`` stands for axes that broadcast.
        Without ``->`` the result has the letters that occur once, in the alphabet's order.
    *operands : Value
        Of one dtype.
    product : callable, optional
        Computes products of matrices, where `matmul` does not do.

    Returns
    -------
    Value

    Raises
    ------
    ArgumentError
        If the equation does not fit the operands.
    ShapeError
        If axes of one letter differ in size.
    """
    terms, result = _parse(equation.replace(" ", ""), operands)
    terms = [_without_repeats(term) for term in terms]
    _check_sizes(terms)
    term = terms[0]
    for position, other in enumerate(terms[1:], 2):
        needed = set(result).union(*(letters for letters, _ in terms[position:]))
        term = _contract(term, other, needed, product)
    return _arranged(_summed(term, set(result)), result)


def _parse(equation: str, operands: Sequence[Value]) -> tuple[list[Term], str]:
    """Letters for each axis of each operand, and those of the result."""
    left, arrow, right = equation.partition("->")
    subscripts = left.split(",")
    if len(subscripts) != len(operands):
        raise ArgumentError(
            "einsum() takes as many operands as its equation names",
            got=f"{len(operands)} for {equation!r}",
        )
    ranks = [
        value.rank - len(letters.replace("...", ""))
        for letters, value in zip(subscripts, operands, strict=True)
    ]
    dots = max(
        (r for r, letters in zip(ranks, subscripts, strict=True) if "..." in letters), default=0
    )
    # Letters for the axes of "...", aligned from the last: none that an equation may hold.
    names = "".join(chr(0x2460 + i) for i in range(dots))
    terms = []
    for letters, value, rank in zip(subscripts, operands, ranks, strict=True):
        if rank < 0 or (rank > 0 and "..." not in letters):
            raise ArgumentError(
                f"einsum({equation!r}) names other axes than its operands have",
                got=f"{letters!r} for {value.type}",
            )
        terms.append((letters.replace("...", names[dots - rank :]), value))
    if not arrow:
        counts = Counter(left.replace(",", "").replace("...", ""))
        right = "..." + "".join(sorted(letter for letter, n in counts.items() if n == 1))
    result = right.replace("...", names)
    known = set().union(*(letters for letters, _ in terms))
    if len(set(result)) != len(result) or not set(result) <= known:
        raise ArgumentError(
            "einsum() has a result of letters that occur once, and in an operand", got=equation
        )
    return terms, result


def _without_repeats(term: Term) -> Term:
    """Diagonals, for letters that stand twice."""
    letters, value = term
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            if value.shape[first] != value.shape[second]:
                raise ShapeError(
                    "einsum() of axes that differ", got=f"{letter} in {value.type}"
                )
            value = diagonal(value, 0, first, second)
            letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :]
            letters += letter
    return letters, value


def _check_sizes(terms: Sequence[Term]) -> None:
    sizes: dict[str, int | None] = {}
    for letters, value in terms:
        for letter, size in zip(letters, value.shape, strict=True):
            known = sizes.get(letter, 1)
            if 1 not in (known, size) and known != size:
                raise ShapeError(
                    "einsum() of axes that differ in size",
                    got=f"{known} and {size} for {letter}",
                )
            sizes[letter] = known if size == 1 and letter in sizes else size


def _summed(term: Term, needed: set[str]) -> Term:
    """Summed over the letters that nobody needs."""
    letters, value = term
    axes = [axis for axis, letter in enumerate(letters) if letter not in needed]
    if not axes:
        return term
    kept = "".join(letter for letter in letters if letter in needed)
    return kept, sum_(value, axes)


def _contract(a: Term, b: Term, needed: set[str], product: Product) -> Term:
    """The product of two terms, summed over the letters that nobody needs."""
    a = _without_ones(a, b[0])
    b = _without_ones(b, a[0])
    a, b = _summed(a, needed | set(b[0])), _summed(b, needed | set(a[0]))
    shared = [letter for letter in a[0] if letter in b[0]]
    batch = "".join(letter for letter in shared if letter in needed)
    inner = "".join(letter for letter in shared if letter not in needed)
    rows = "".join(letter for letter in a[0] if letter not in shared)
    columns = "".join(letter for letter in b[0] if letter not in shared)
    left = _arranged(a, batch + rows + inner)
    right = _arranged(b, batch + inner + columns)
    shape = left.shape[: len(batch)]
    row_sizes = left.shape[len(batch) : len(batch + rows)]
    column_sizes = right.shape[len(batch + inner) :]
    if not inner:
        # A product without a sum is elementwise.
        left = reshape(left, (*left.shape, *[1] * len(columns)))
        right = reshape(right, (*shape, *[1] * len(rows), *column_sizes))
        return batch + rows + columns, left * right
    summed = _size(left.shape[len(batch + rows) :])
    result = product(
        reshape(left, (*shape, _size(row_sizes), summed)),
        reshape(right, (*shape, summed, _size(column_sizes))),
    )
    return batch + rows + columns, reshape(result, (*shape, *row_sizes, *column_sizes))


def _without_ones(term: Term, others: str) -> Term:
    """Without axes of size one that the other term has, too: they broadcast."""
    letters, value = term
    axes = [i for i, letter in enumerate(letters) if letter in others and value.shape[i] == 1]
    if not axes:
        return term
    return "".join(c for i, c in enumerate(letters) if i not in axes), squeeze(value, axes)


def _size(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def _arranged(term: Term, order: str) -> Value:
    letters, value = term
    return transpose(value, [letters.index(letter) for letter in order])
