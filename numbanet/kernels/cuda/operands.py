"""Operands of products, as text: where their elements lie.

An element has a free index, the row of A or the column of B, and an index k that is summed
over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Operand(Protocol):
    """Text that finds an operand's elements."""

    @property
    def name(self) -> str:
        """Of its pointer, and the prefix of all names that its statements assign."""
        ...

    @property
    def follows_k(self) -> bool:
        """Whether elements with consecutive k lie next to each other; else those with
        consecutive free index do."""
        ...

    @property
    def width(self) -> int:
        """Elements to load at once: 1, or 4 where quads lie together and are aligned."""
        ...

    def place(self, free: str, mark: str) -> list[str]:
        """Statements about a free index. What they assign ends in ``mark``."""
        ...

    def term(self, k: str, mark: str) -> list[str]:
        """Statements about an index k. What they assign ends in ``mark``."""
        ...

    def element(self, free: str, k: str) -> tuple[str, str]:
        """Condition (or ``""``) and position of the element, by the marks of its indices.

        Where the condition is false the element is zero.
        """
        ...


@dataclass(frozen=True)
class Matrix:
    """A matrix in memory; ``{name}_base`` is the position of its first element.

    Strides are text. One of them is ``"1"``.
    """

    name: str
    free_stride: str
    k_stride: str
    width: int = 1

    @property
    def follows_k(self) -> bool:
        return self.k_stride == "1"

    def place(self, free: str, mark: str) -> list[str]:
        x = self.name
        return [f"{x}_row{mark} = int32({x}_base + {free} * {self.free_stride})"]

    def term(self, k: str, mark: str) -> list[str]:
        return [f"{self.name}_term{mark} = int32({k} * {self.k_stride})"]

    def element(self, free: str, k: str) -> tuple[str, str]:
        return "", f"{self.name}_row{free} + {self.name}_term{k}"
