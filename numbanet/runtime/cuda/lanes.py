"""Launches side by side: streams that start from the main one, and end in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numbanet.runtime.cuda.driver import Packed


class LaneStreams:
    """Streams for the lanes of programs, and events by which they wait for each other.

    Parameters
    ----------
    api : module
        ``cuda.bindings.driver``.
    check : callable
        Takes what a function of ``api`` returned: its results, or an error.
    main : CUstream
        The first lane.

    Attributes
    ----------
    streams : list of CUstream
        By lane.
    """

    def __init__(self, api: Any, check: Callable[[tuple[Any, ...]], Any], main: Any) -> None:
        self._api, self._check = api, check
        self.streams = [main]
        self._events: list[Any] = []

    def open(self, launches: Sequence[Packed]) -> None:
        """Make what `play` needs: nothing new is made while a graph is captured."""
        api, check = self._api, self._check
        flags = api.CUstream_flags.CU_STREAM_NON_BLOCKING.value
        while len(self.streams) <= max((each.lane for each in launches), default=0):
            self.streams.append(check(api.cuStreamCreate(flags)))
        timeless = api.CUevent_flags.CU_EVENT_DISABLE_TIMING.value
        while len(self._events) <= len(_awaited(launches)):
            self._events.append(check(api.cuEventCreate(timeless)))

    def play(self, launches: Sequence[Packed]) -> None:
        """Put a step on the streams; what comes on the main one later waits for all of it.

        An event is recorded again in the next step: whoever waited for it then did so for what
        had been recorded by that time.
        """
        awaited = _awaited(launches)
        fork, *events = self._events[: 1 + len(awaited)]
        event_of = dict(zip(sorted(awaited), events, strict=True))
        has_started = {0}
        if any(each.lane for each in launches):
            self._record(fork, 0)
        for number, each in enumerate(launches):
            for other in each.after:
                self._wait(each.lane, event_of[other])
            if each.lane not in has_started and not each.after:
                self._wait(each.lane, fork)
            has_started.add(each.lane)
            each.launcher(each.lane)
            if number in awaited:
                self._record(event_of[number], each.lane)
        for number in _ends(launches):
            self._wait(0, event_of[number])

    def _record(self, event: Any, lane: int) -> None:
        self._check(self._api.cuEventRecord(event, self.streams[lane]))

    def _wait(self, lane: int, event: Any) -> None:
        self._check(self._api.cuStreamWaitEvent(self.streams[lane], event, 0))


def _ends(launches: Sequence[Packed]) -> list[int]:
    """The last launch of each lane but the main one."""
    last = {each.lane: number for number, each in enumerate(launches) if each.lane}
    return sorted(last.values())


def _awaited(launches: Sequence[Packed]) -> set[int]:
    """Launches that another lane waits for."""
    return {number for each in launches for number in each.after} | {*_ends(launches)}
