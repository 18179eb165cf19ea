"""Tables of lowerings: which ops a device has kernels for, and what a node of each becomes."""

from __future__ import annotations

from collections.abc import Callable

from numbanet.ir import Node
from numbanet.kernels.kernel import Call

Lowering = Callable[[Node], tuple[Call, ...]]


class Lowerings(dict[str, Lowering]):
    """Lowerings of one device by name of the op; every other op is decomposed before.

    Parameters
    ----------
    device : str
        For messages.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def enter(self, *names: str) -> Callable[[Lowering], Lowering]:
        """A decorator: the function below is the lowering of the ops called ``names``."""

        def decorate(function: Lowering) -> Lowering:
            for name in names:
                if name in self:
                    raise ValueError(f"op {name!r} already has a {self.device} lowering")
                self[name] = function
            return function

        return decorate
