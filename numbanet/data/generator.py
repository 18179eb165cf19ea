"""Random numbers with a seed of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.initializers import draw_seed, shared_generator


class Generator:
    """A source of random numbers, with the methods of PyTorch's.

    Its numbers are NumPy's (PCG64), so a seed gives other numbers than PyTorch's does.

    Parameters
    ----------
    device : str
        Numbers are drawn on the host, so only ``"cpu"``.
    """

    def __init__(self, device: str = "cpu") -> None:
        if str(device) != "cpu":
            raise NotImplementedError(f"device={device!r} of a Generator: it draws on the host")
        self.manual_seed(draw_seed())

    def manual_seed(self, seed: int) -> Generator:
        """Begin anew from ``seed``; returns the generator."""
        self._seed = int(seed)
        self.numpy = np.random.default_rng(self._seed % 2**64)
        return self

    def seed(self) -> int:
        """Begin anew from a seed of the operating system's; returns it."""
        self.manual_seed(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
        return self._seed

    def initial_seed(self) -> int:
        """The seed that it began from."""
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """What `set_state` takes to come back here."""
        return dict(self.numpy.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        self.numpy.bit_generator.state = state


def numpy_generator(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator behind ``generator``; None is the one that `set_seed` seeds."""
    return shared_generator() if generator is None else generator.numpy
