"""The threads that walk tables: one leader, who calls, and followers, who wait for runs.

Followers are daemon threads that sit in a compiled loop without Python's global lock. Where no
run comes for about a millisecond they park in a condition variable: an idle process is idle.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.kernels.cpu.compile import compile_kernel
from numbanet.kernels.cpu.walk import FOLLOW, LEAD, STOP, TURN, control_words
from numbanet.runtime.cpu.cores import available_cores
from numbanet.runtime.cpu.table import Row, Table
from numbanet.runtime.host import aligned

THREADS_VARIABLE = "NUMBANET_NUM_THREADS"


_SHORTEST_NAP, _LONGEST_NAP = 0.001, 0.1


class Pool:
    """A leader's loop and ``threads - 1`` followers."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._lead = compile_kernel(LEAD).entry
        self._control = aligned(control_words(threads) * 8).view(np.int64)
        self._control[:] = 0
        # A ctypes array: its items are set several times faster than those of an ndarray.
        self._words = (ctypes.c_int64 * 4)(self._control.ctypes.data)
        self._words_address = ctypes.addressof(self._words)
        self._condition = threading.Condition()
        self._run = 0
        self._parked = 0
        self._followers = [
            threading.Thread(target=self._follow, args=(i,), name=f"numbanet-{i}", daemon=True)
            for i in range(1, threads)
        ]
        for follower in self._followers:
            follower.start()

    def walk(self, table: Table | Row, steps: int) -> None:
        """Run ``table`` from top to bottom ``steps`` times."""
        threads = self.threads if table.is_shared else 1
        if threads > 1:
            self._call()
        words = self._words
        words[1], words[2], words[3] = table.address, table.length, self._run
        self._lead(steps, threads, self._words_address)

    def close(self) -> None:
        """End the followers, between two runs."""
        with self._condition:
            self._run = STOP
            self._control[TURN] = STOP
            self._condition.notify_all()
        for follower in self._followers:
            follower.join()

    def _call(self) -> None:
        """Announce a run, before it starts, so that nobody parks and who is parked wakes."""
        # Who parks says so first and then looks for a run; here it is the other way round. So
        # one of the two sees the other, and where nobody parks no lock is taken.
        self._run += 1
        if self._parked:
            with self._condition:
                self._condition.notify_all()

    def _follow(self, thread: int) -> None:
        follow = compile_kernel(FOLLOW)
        seen = np.zeros(2, dtype=np.int64)
        words = np.array([self._control.ctypes.data, seen.ctypes.data], dtype=np.int64)
        announced, nap = 0, _SHORTEST_NAP
        while True:
            follow.entry(thread, self.threads, words.ctypes.data)
            turn, run = seen
            if turn == STOP:
                return
            with self._condition:
                self._parked += 1
                while self._run == run:
                    self._condition.wait()
                self._parked -= 1
                if self._run != announced:
                    announced, nap = self._run, _SHORTEST_NAP
                    continue
                # Announced long ago and not begun: its thread waits for the processor, or was
                # interrupted in between, and then it never comes.
                self._condition.wait(nap)
                nap = min(2 * nap, _LONGEST_NAP)


class Threads:
    """The process's pool, made when it is first needed, and the lock under which it runs.

    One run at a time has the pool and the memory that programs share, whoever asks.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._count: int | None = None
        self._pool: Pool | None = None

    @property
    def count(self) -> int:
        if self._count is None:
            self._count = _default_threads()
        return self._count

    def resize(self, count: int) -> None:
        with self.lock:
            self.close()
            self._count = count

    def pool(self) -> Pool:
        """The pool; call it with the lock held."""
        if self._pool is None:
            self._pool = Pool(self.count)
        return self._pool

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def forget(self) -> None:
        """In the child of a fork: followers and the lock's owner stayed in the parent."""
        self.lock = threading.RLock()
        self._pool = None


THREADS = Threads()

atexit.register(THREADS.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=THREADS.forget)


def get_num_threads() -> int:
    """Number of threads that programs on the CPU run on."""
    return THREADS.count


def set_num_threads(count: int) -> None:
    """Run programs on ``count`` threads from now on; results do not depend on it.

    The default is the environment variable ``NUMBANET_NUM_THREADS``, else the number of
    physical cores that the process may use.

    Raises
    ------
    ArgumentError
        If ``count`` is not a positive whole number.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ArgumentError(
            "the number of threads must be a positive whole number", got=repr(count)
        )
    THREADS.resize(count)


def _default_threads() -> int:
    asked = os.environ.get(THREADS_VARIABLE)
    if asked is None:
        return available_cores()
    if not asked.isdecimal() or int(asked) < 1:
        raise ArgumentError(
            f"the environment variable {THREADS_VARIABLE} must be a positive whole number",
            got=repr(asked),
        )
    return int(asked)
