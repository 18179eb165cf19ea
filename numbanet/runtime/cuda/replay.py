"""Launches at fixed addresses: put on the stream one by one, then captured and replayed."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet.runtime.cuda.driver import Driver, Graph, Packed

_MOST_STEPS = 16
_MOST_NODES = 512
"""Of a graph of several steps: more would take longer to capture than they save."""


class Replay:
    """A program's launches at one set of addresses.

    The first step is launched kernel by kernel, one after the other. The second is captured
    into a graph, its lanes side by side, and from then on a step is one call. Where a run has
    many steps, several of them are one graph.

    Parameters
    ----------
    driver : Driver
    step : sequence of Packed
    """

    def __init__(self, driver: Driver, step: Sequence[Packed]) -> None:
        self.step = tuple(step)
        self._driver = driver
        self._was_launched = False
        self._graphs: dict[int, Graph] = {}
        self._together = max(1, min(_MOST_STEPS, _MOST_NODES // max(1, len(step))))

    def run(self, steps: int) -> None:
        """Put ``steps`` steps on the stream."""
        if not self.step:
            return
        if steps and not self._was_launched:
            for each in self.step:
                each.launcher(0)
            self._was_launched = True
            steps -= 1
        # A graph of several steps must be worth it once, and is then at hand.
        if self._together in self._graphs or steps >= 2 * self._together:
            count, steps = divmod(steps, self._together)
            self._repeat(self._together, count)
        self._repeat(1, steps)

    def _repeat(self, together: int, count: int) -> None:
        if count and together not in self._graphs:
            self._graphs[together] = self._driver.capture(self.step, together)
        for _ in range(count):
            self._graphs[together]()
