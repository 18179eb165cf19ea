"""The table walker: compiled loops that run a whole program, on every thread.

A program is a table with one row per launch. All threads walk it from top to bottom; at a row
that is shared each does its part of the tiles, at any other row the leader does them all. Where
a row may need what another thread wrote, the row before it ends with a barrier. So nothing of
a run depends on how many threads there are but who does which tile.

Both loops have a kernel's binary interface, and are compiled and kept on disk like kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.kernels.kernel import Kernel

# Columns of the table.
ENTRY, TILES, WORDS, IS_SHARED, ENDS_WITH_BARRIER = range(5)
COLUMNS = 8

# Words of the control block, which all threads of a pool read. Those that are written while
# threads wait on others lie 128 bytes apart: two cache lines, as processors fetch them.
RUN, ARRIVED, PHASE = 0, 16, 32
TABLE, ROWS, STEPS, THREADS = 48, 49, 50, 51
CONTROL_WORDS = 64

STOP = -1
"""The value of ``RUN`` that ends the followers."""

SPINS = 256
"""Pauses before a waiting thread starts to give its processor away (about 10 us)."""

IDLE_SPINS = 4096
IDLE_YIELDS = 1024
"""What a follower does before it parks: together between 0.3 and 1 ms."""


def make_lead() -> Callable[..., None]:
    """The leader's loop. ``steps`` and ``threads`` stand where kernels are given tiles.

    With more than one thread it starts run number ``run``, which followers then see.
    """
    from numbanet.kernels.cpu.atomics import store_release

    walk = _make_walk()

    def lead(steps: Any, threads: Any, control: Any, table: Any, rows: Any, run: Any) -> None:
        if threads > 1:
            control[TABLE] = table
            control[ROWS] = rows
            control[STEPS] = steps
            control[THREADS] = threads
            store_release(control, RUN, run)
        walk(0, threads, control, table, rows, steps)

    return lead


def make_follow() -> Callable[..., None]:
    """A follower's loop, for thread ``thread``: does runs until none has come for a while.

    ``seen[0]`` is the number of the last run it did; on return, ``STOP`` if the pool ends.
    """
    from numbanet.kernels.cpu.atomics import load_acquire, pause, yield_processor

    walk = _make_walk()

    def follow(thread: Any, threads: Any, control: Any, seen: Any) -> None:
        waited = 0
        while waited < IDLE_SPINS + IDLE_YIELDS:
            run = load_acquire(control, RUN)
            if run == seen[0]:
                waited += 1
                if waited < IDLE_SPINS:
                    pause()
                else:
                    yield_processor()
                continue
            seen[0] = run
            if run == STOP:
                return
            waited = 0
            walk(
                thread,
                control[THREADS],
                control,
                control[TABLE],
                control[ROWS],
                control[STEPS],
            )

    return follow


def _make_walk() -> Any:
    from numba import int64, njit

    from numbanet.kernels.cpu.atomics import (
        call_entry,
        fetch_add,
        flush_subnormals,
        load_acquire,
        pause,
        restore_mode,
        store_release,
        yield_processor,
    )
    from numbanet.kernels.cpu.pointers import retype

    @njit(error_model="numpy")
    def wait_for_all(threads: Any, control: Any) -> None:
        phase = load_acquire(control, PHASE)
        if fetch_add(control, ARRIVED, 1) == threads - 1:
            control[ARRIVED] = 0
            store_release(control, PHASE, phase + 1)
            return
        spins = 0
        while load_acquire(control, PHASE) == phase:
            if spins < SPINS:
                spins += 1
                pause()
            else:
                yield_processor()

    @njit(error_model="numpy")
    def walk(
        thread: Any, threads: Any, control: Any, table: Any, rows: Any, steps: Any
    ) -> None:
        mode = flush_subnormals()
        cells = retype(table, int64)
        for _ in range(steps):
            for i in range(rows):
                row = i * COLUMNS
                first, last = 0, cells[row + TILES]
                if cells[row + IS_SHARED]:
                    tiles = last
                    first = tiles * thread // threads
                    last = tiles * (thread + 1) // threads
                elif thread > 0:
                    last = 0
                if first < last:
                    call_entry(cells[row + ENTRY], first, last, cells[row + WORDS])
                if cells[row + ENDS_WITH_BARRIER]:
                    wait_for_all(threads, control)
        restore_mode(mode)

    return walk


LEAD = Kernel("lead", make_lead, (), ("int64*", "int64", "int64", "int64"))
FOLLOW = Kernel("follow", make_follow, (), ("int64*", "int64*"))
