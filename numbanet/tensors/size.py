"""The shape of a tensor."""

from __future__ import annotations

import math


class Size(tuple[int, ...]):
    """A tuple of sizes."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"numbanet.Size({list(self)})"
