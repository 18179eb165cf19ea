"""The table of lowerings: which ops have CUDA kernels, and what a node of each becomes."""

from __future__ import annotations

from collections.abc import Callable

from numbanet.ir import Node
from numbanet.kernels.kernel import Call

Lowering = Callable[[Node], tuple[Call, ...]]

LOWERINGS: dict[str, Lowering] = {}
"""By name of the op. Every op that is not here is decomposed before it gets to a GPU."""


def lowering(*names: str) -> Callable[[Lowering], Lowering]:
    """Enter the decorated function as the lowering of the ops called ``names``."""

    def enter(function: Lowering) -> Lowering:
        for name in names:
            if name in LOWERINGS:
                raise ValueError(f"op {name!r} already has a CUDA lowering")
            LOWERINGS[name] = function
        return function

    return enter
