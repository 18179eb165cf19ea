"""The table walker: compiled loops that run a whole program, on every thread.

A program is a table with one row per launch. A row that is shared is a *turn*: its tiles are
cut into a part for each thread, and parts into pieces. A thread claims the pieces of its own
part, and then what is left of the others', so nobody waits for a thread that has not claimed
anything: one that is parked, or whose processor does something else. Whoever finishes a turn's
last piece does the rows that are not shared by itself, and begins the next turn. So nothing of
a run depends on how many threads there are but who does which tile.

Both loops have a kernel's binary interface, and are compiled and kept on disk like kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.kernels.kernel import Kernel

# Columns of the table.
ENTRY, TILES, WORDS, IS_SHARED = range(4)
COLUMNS = 8

# Words of the control block, which all threads of a pool read. Those that are written while
# threads wait on others lie 128 bytes apart: two cache lines, as processors fetch them.
LINE = 16
TURN, RUN, ENDED = 0, 1, 2
"""The turn that is on; the runs that were begun last and ended last."""
DONE = LINE
"""Pieces of the turn that are finished."""
TABLE, ROWS, STEPS, ROW, STEP, PIECES = range(2 * LINE, 2 * LINE + 6)
"""The run's table and where it stands; only who begins a turn writes them."""
CLAIMS = 3 * LINE
"""For each thread's part, a line apart: the turn, and in the last byte the pieces left. Turn
and count are one word, so that whoever comes too late can claim nothing."""

COUNT_BITS = 8
MOST_PIECES = 16
"""Of a part. Of more the claims would show; of fewer the last one is waited for too long."""

STOP = -1
"""The value of ``TURN`` that ends the followers."""

SPINS = 256
"""Pauses before a waiting thread starts to give its processor away (about 10 us)."""

IDLE_SPINS = 4096
IDLE_YIELDS = 1024
"""What a follower does before it parks: together between 0.3 and 1 ms."""


def control_words(threads: int) -> int:
    """Length of the control block."""
    return CLAIMS + LINE * threads


def make_lead() -> Callable[..., None]:
    """The leader's loop. ``steps`` and ``threads`` stand where kernels are given tiles.

    With more than one thread it is run number ``run``, in which followers take part.
    """
    from numbanet.kernels.cpu.atomics import (
        flush_subnormals,
        load_acquire,
        pause,
        restore_mode,
        store_release,
        yield_processor,
    )

    do_row, begin_turn, take_part = _make_steps()

    def lead(steps: Any, threads: Any, control: Any, table: Any, rows: Any, run: Any) -> None:
        mode = flush_subnormals()
        if threads == 1:
            for _ in range(steps):
                for row in range(rows):
                    do_row(table, row)
            restore_mode(mode)
            return
        control[TABLE] = table
        control[ROWS] = rows
        control[STEPS] = steps
        control[ROW] = -1
        control[STEP] = 0
        store_release(control, RUN, run)
        seen = load_acquire(control, TURN)
        begin_turn(threads, control, seen + 1)
        waited = 0
        while load_acquire(control, ENDED) != run:
            turn = load_acquire(control, TURN)
            if turn != seen:
                seen = turn
                take_part(0, threads, control, turn)
                waited = 0
            elif waited < SPINS:
                waited += 1
                pause()
            else:
                yield_processor()
        restore_mode(mode)

    return lead


def make_follow() -> Callable[..., None]:
    """A follower's loop, for thread ``thread``: takes turns until none has come for a while.

    ``seen[0]`` is the last turn it saw; on return, ``STOP`` if the pool ends. ``seen[1]`` is
    the last run that it knows of.
    """
    from numbanet.kernels.cpu.atomics import (
        flush_subnormals,
        load_acquire,
        pause,
        restore_mode,
        yield_processor,
    )

    take_part = _make_steps()[-1]

    def follow(thread: Any, threads: Any, control: Any, seen: Any) -> None:
        mode = flush_subnormals()
        waited = 0
        while waited < IDLE_SPINS + IDLE_YIELDS:
            turn = load_acquire(control, TURN)
            if turn != seen[0]:
                seen[0] = turn
                if turn == STOP:
                    break
                take_part(thread, threads, control, turn)
                waited = 0
                continue
            seen[1] = load_acquire(control, RUN)
            is_idle = load_acquire(control, ENDED) == seen[1]
            waited = waited + 1 if is_idle else min(waited + 1, SPINS)
            if waited < (IDLE_SPINS if is_idle else SPINS):
                pause()
            else:
                yield_processor()
        restore_mode(mode)

    return follow


def _make_steps() -> Any:
    """``do_row(table, row)``, ``begin_turn(threads, control, turn)`` and
    ``take_part(thread, threads, control, turn)``."""
    from numba import int64, njit

    from numbanet.kernels.cpu.atomics import (
        call_entry,
        compare_exchange,
        fetch_add,
        load_acquire,
        store_release,
    )
    from numbanet.kernels.cpu.pointers import offset, retype

    @njit(error_model="numpy")
    def cells_of(table: Any, row: Any) -> Any:
        return offset(retype(table, int64), row * COLUMNS)

    @njit(error_model="numpy")
    def do_row(table: Any, row: Any) -> None:
        cells = cells_of(table, row)
        call_entry(cells[ENTRY], 0, cells[TILES], cells[WORDS])

    @njit(error_model="numpy")
    def part_of(tiles: Any, part: Any, threads: Any) -> Any:
        """First and last tile of a part, and the number of pieces that it is cut into."""
        first, last = tiles * part // threads, tiles * (part + 1) // threads
        return first, last, min(last - first, MOST_PIECES)

    @njit(error_model="numpy")
    def begin_turn(threads: Any, control: Any, turn: Any) -> None:
        """Do rows until one is shared, and let all take part in it; or end the run.

        Only one thread is here at a time: the leader at first, and then who ended a turn.
        """
        table, row, step = control[TABLE], control[ROW], control[STEP]
        while True:
            row += 1
            if row == control[ROWS]:
                row, step = 0, step + 1
            if step == control[STEPS]:
                store_release(control, ENDED, control[RUN])
                return
            if cells_of(table, row)[IS_SHARED]:
                break
            do_row(table, row)
        tiles = cells_of(table, row)[TILES]
        pieces = 0
        for part in range(threads):
            pieces += part_of(tiles, part, threads)[2]
        control[ROW], control[STEP] = row, step
        control[PIECES], control[DONE] = pieces, 0
        for part in range(threads):
            count = part_of(tiles, part, threads)[2]
            store_release(control, CLAIMS + LINE * part, (turn << COUNT_BITS) + count)
        store_release(control, TURN, turn)

    @njit(error_model="numpy")
    def do_piece(threads: Any, control: Any, part: Any, left: Any) -> None:
        cells = cells_of(control[TABLE], control[ROW])
        start, end, pieces = part_of(cells[TILES], part, threads)
        piece = pieces - left
        first = start + (end - start) * piece // pieces
        last = start + (end - start) * (piece + 1) // pieces
        call_entry(cells[ENTRY], first, last, cells[WORDS])

    @njit(error_model="numpy")
    def take_part(thread: Any, threads: Any, control: Any, turn: Any) -> None:
        """Do pieces of ``turn`` until none is left; begin the next one if they are all done.

        The control block and the table are those of this turn only once a piece is claimed,
        and until it is counted as done.
        """
        done = 0
        for k in range(threads):
            part = (thread + k) % threads
            place = CLAIMS + LINE * part
            claim = load_acquire(control, place)
            while claim >> COUNT_BITS == turn and claim & ((1 << COUNT_BITS) - 1):
                if compare_exchange(control, place, claim, claim - 1):
                    do_piece(threads, control, part, claim & ((1 << COUNT_BITS) - 1))
                    done += 1
                claim = load_acquire(control, place)
        if done:
            pieces = control[PIECES]
            if fetch_add(control, DONE, done) + done == pieces:
                begin_turn(threads, control, turn + 1)

    return do_row, begin_turn, take_part


LEAD = Kernel("lead", make_lead, (), ("int64*", "int64", "int64", "int64"))
FOLLOW = Kernel("follow", make_follow, (), ("int64*", "int64*"))
