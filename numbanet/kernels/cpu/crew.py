"""Compiling many kernels at once, with help from processes of our own.

Numba holds Python's global lock nearly all the time, so threads would not help. The helpers run
`numbanet.kernels.cpu.compile_worker`; each has a thread here that hands it one kernel after
another, while this process takes them from the other end. Help is never needed: what a
helper did not do, for whatever reason, is done here.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence

from numbanet.errors import ArgumentError
from numbanet.kernels.kernel import Kernel

WORKERS_VARIABLE = "NUMBANET_COMPILE_WORKERS"
"""Environment variable: the largest number of helpers, 0 for none."""

ENOUGH_KERNELS = 8
"""For fewer it is not worth it to start a process and to import Numba there: about 1 s."""

_PATIENCE_S = 0.05
"""How often a thread looks whether there is still something to wait for."""

_MOST_WORKERS = 7
"""Each takes about 150 MB."""

Job = tuple[Kernel, str]
"""A kernel, and the symbol that its object exports."""


def object_codes(jobs: Sequence[Job], workers: int) -> list[bytes]:
    """Object files for ``jobs``, in their order.

    Parameters
    ----------
    workers : int
        How many helpers there may be, unless ``NUMBANET_COMPILE_WORKERS`` says otherwise.
    """
    # Imported here because it imports Numba, which a warm start does without.
    from numbanet.kernels.cpu import translate

    batch = _Batch(jobs, _CREW.helpers(_allowed(workers)) if _is_worth_help(jobs) else [])
    try:
        while (position := batch.take()) is not None:
            batch.codes[position] = translate.object_code(*jobs[position])
    finally:
        batch.finish()
    for position, job in enumerate(jobs):
        if position not in batch.codes:
            batch.codes[position] = translate.object_code(*job)
    return [batch.codes[position] for position in range(len(jobs))]


def _allowed(workers: int) -> int:
    said = os.environ.get(WORKERS_VARIABLE)
    if said is None:
        return min(workers, _MOST_WORKERS)
    if not said.isdecimal():
        raise ArgumentError(
            f"{WORKERS_VARIABLE} is a number of processes", got=repr(said), expected="0 or more"
        )
    return int(said)


def _is_worth_help(jobs: Sequence[Job]) -> bool:
    return sum(_can_travel(kernel) for kernel, _ in jobs) >= ENOUGH_KERNELS


def _can_travel(kernel: Kernel) -> bool:
    """Whether another process can import what makes the kernel. It must never run a script
    again to find it."""
    module = sys.modules.get(kernel.make.__module__)
    if kernel.make.__module__ == "__main__" or module is None:
        return False
    return getattr(module, kernel.make.__qualname__, None) is kernel.make


class _Batch:
    """Kernels that wait, and the objects that have come of them."""

    def __init__(self, jobs: Sequence[Job], helpers: Sequence[_Helper]) -> None:
        self.codes: dict[int, bytes] = {}
        self._jobs = jobs
        self._own = [i for i, (kernel, _) in enumerate(jobs) if not _can_travel(kernel)]
        self._shared = deque(i for i in range(len(jobs)) if i not in self._own)
        self._threads = [
            threading.Thread(target=self._hand_out, args=(helper,), daemon=True)
            for helper in helpers
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> int | None:
        """The position of a job that nobody has."""
        if self._own:
            return self._own.pop()
        return _pop(self._shared.pop)

    def finish(self) -> None:
        """Hand nothing more out, and wait for what the helpers are at."""
        self._shared.clear()
        for thread in self._threads:
            thread.join()

    def _hand_out(self, helper: _Helper) -> None:
        while self._shared and not helper.wait(_PATIENCE_S):
            pass
        while (position := _pop(self._shared.popleft)) is not None:
            code = helper.compile(self._jobs[position])
            if code is None:
                return
            self.codes[position] = code


def _pop(pop: Callable[[], int]) -> int | None:
    try:
        return pop()
    except IndexError:
        return None


class _Helper:
    """A process that compiles. It ends with this one, and when it has long been idle."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "numbanet.kernels.cpu.compile_worker"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._lock = threading.Lock()
        self._has_answered = threading.Event()
        threading.Thread(target=self._greet, daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Whether it has imported Numba, or failed to, within so many seconds."""
        return self._has_answered.wait(seconds)

    def compile(self, job: Job) -> bytes | None:
        """An object file, or None if that failed."""
        return self._ask(job)

    def end(self) -> None:
        """Stop it, whatever it is at: it writes nothing but answers."""
        self._process.terminate()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _quietly(pipe.close)
        self._process.wait()

    def _greet(self) -> None:
        self._ask(None)
        self._has_answered.set()

    def _ask(self, question: Job | None) -> bytes | None:
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            return None
        try:
            with self._lock:
                pickle.dump(question, to)
                to.flush()
                return pickle.load(back)
        except (OSError, ValueError, EOFError, pickle.PickleError):
            return None


def _quietly(close: Callable[[], None]) -> None:
    try:
        close()
    except OSError:
        return


class _Crew:
    """The helpers of this process, started when they are first needed."""

    def __init__(self) -> None:
        self._helpers: list[_Helper] = []
        self._process = os.getpid()

    def helpers(self, count: int) -> list[_Helper]:
        """At most ``count`` living helpers; fewer if the system gives no more processes."""
        if self._process != os.getpid():  # After a fork they are the parent's.
            self._helpers, self._process = [], os.getpid()
        dead = [helper for helper in self._helpers if not helper.is_alive]
        for helper in dead:
            self._helpers.remove(helper)
            helper.end()
        try:
            while len(self._helpers) < count:
                self._helpers.append(_Helper())
        except OSError:
            pass
        return self._helpers[:count]

    def end(self) -> None:
        if self._process == os.getpid():
            for helper in self._helpers:
                helper.end()


_CREW = _Crew()
atexit.register(_CREW.end)
