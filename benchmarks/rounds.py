"""Interleaved rounds: every peer in its own process, taking turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from benchmarks.install import measure_install
from benchmarks.measurement import Measurement, compare_numbers
from benchmarks.process import Conditions, PeerError, Worker
from benchmarks.workloads import KINDS, Workload

FRESH_ROUNDS = 4
"""Most rounds of what needs a new process for each sample."""


def measure(
    workload: Workload, peers: Sequence[str], conditions: Conditions
) -> list[Measurement]:
    """All peers on one workload."""
    if workload.kind == "install":
        return [measure_install(peer) for peer in peers]
    found = [Measurement(peer, workload.name) for peer in peers]
    if KINDS[workload.kind].is_fresh:
        _measure_fresh(workload, found, conditions)
    else:
        _measure_steady(workload, found, conditions)
    return found


def _measure_steady(
    workload: Workload, found: list[Measurement], conditions: Conditions
) -> None:
    """A peer whose numbers are not the others' is not timed."""
    with ExitStack() as stack:
        workers = {
            each.peer: stack.enter_context(Worker(each.peer, workload, conditions))
            for each in found
        }
        for each in found:
            _attempt(each, lambda each: _open(workers[each.peer], each))
        compare_numbers(found)
        spent: dict[str, float] = {}

        def sample(each: Measurement) -> None:
            if each.samples and spent[each.peer] > conditions.patience:
                return
            worker, start = workers[each.peer], time.perf_counter()
            each.samples.append(worker.ask("time")["seconds"])
            spent[each.peer] += time.perf_counter() - start

        def prepare(each: Measurement) -> None:
            start = time.perf_counter()
            answer = workers[each.peer].ask("prepare", budget=conditions.budget)
            each.samples += answer["seconds"]
            spent[each.peer] = time.perf_counter() - start

        for each in found:
            _attempt(each, prepare)
        for each in _turns(found, conditions.rounds):
            _attempt(each, sample)


def _measure_fresh(
    workload: Workload, found: list[Measurement], conditions: Conditions
) -> None:
    """A new process for each sample; the first is thrown away, since it fills caches."""

    def sample(each: Measurement) -> None:
        with Worker(each.peer, workload, conditions) as worker:
            answer = worker.ask("open")
            if workload.kind == "memory":
                number = worker.ask("memory")["bytes"]
            else:
                number = sum(answer[f"{part}_seconds"] for part in ("import", "build", "first"))
            vars(each).update(answer)
            each.samples.append(number)

    for each in _turns(found, min(conditions.rounds, FRESH_ROUNDS) + 1):
        _attempt(each, sample)
    for each in found:
        each.samples = each.samples[1:]


def _turns(found: Sequence[Measurement], rounds: int) -> Iterator[Measurement]:
    """Who is next; each round starts with another peer, so that none is always first."""
    for turn in range(rounds):
        shift = turn % len(found)
        yield from (*found[shift:], *found[:shift])


def _attempt(each: Measurement, action: Callable[[Measurement], None]) -> None:
    """An error is the peer's result; the others go on."""
    if each.error:
        return
    try:
        action(each)
    except PeerError as error:
        each.error = str(error)


def _open(worker: Worker, found: Measurement) -> None:
    vars(found).update(worker.ask("open"))
    found.numbers = worker.ask("check")["numbers"]
