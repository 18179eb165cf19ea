"""The parent's side of the worker processes of a `DataLoader`.

Each worker has a pipe of its own and answers in the order in which it was asked. Batches are
taken from the workers in turn, and whoever gave one is asked for another. So batches come in
order, no worker is ahead by more than ``prefetch_factor`` batches, and each has as many blocks
of shared memory, whose last batches have been copied out when they are written again.

Processes are not forked from this one by default: executors and BLAS have threads here, which a
fork would leave behind with their locks held.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import secrets
import signal
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from numbanet.data.shared import Inbox
from numbanet.data.workers import Answer, Job, Task, block_name, work
from numbanet.errors import ArgumentError, WorkerError

PATIENCE = 0.5
"""Seconds that a worker has to end by itself."""

_DEATHS = (
    {
        -signal.SIGKILL: "It was killed: the machine may be out of memory",
        -signal.SIGBUS: "The machine may be out of shared memory (/dev/shm)",
    }
    if os.name == "posix"
    else {}
)

_UNGUARDED = (
    "If it ended at its start, the script may lack `if __name__ == '__main__':`, without which "
    "each worker runs it again"
)


class Worker(NamedTuple):
    """A process, the pipe to it, and the blocks that it writes to."""

    id: int
    process: Any
    pipe: Connection
    boxes: list[Inbox]


class WorkerPool:
    """Worker processes, from `__init__` to `close`.

    Parameters
    ----------
    job : Job
    seed : int
        Of the first worker; the others count on from it.
    context : multiprocessing context
    timeout : float
        Seconds to wait for a batch; 0 waits for ever.
    """

    def __init__(self, job: Job, seed: int, context: Any, timeout: float) -> None:
        self.timeout = timeout
        self.epoch = 0
        self.workers: list[Worker] = []
        self.pending: deque[Worker] = deque()
        # Names of shared memory have at most 30 characters on some systems.
        self._prefix = f"nb{os.getpid():x}_{secrets.token_hex(3)}"
        self.close = weakref.finalize(self, _close, self.workers, os.getpid())
        # Parent and workers must share one tracker of shared memory, also if they are forked.
        resource_tracker.ensure_running()
        try:
            for worker in range(job.workers):
                self._start(job, worker, seed + worker, context)
        except BaseException:
            self.close()
            raise

    def _start(self, job: Job, worker: int, seed: int, context: Any) -> None:
        ours, theirs = context.Pipe()
        names = [block_name(self._prefix, worker, block) for block in range(job.blocks)]
        process = context.Process(
            target=work,
            args=(job, worker, seed, self._prefix, theirs, self._inherited(context, ours)),
            name=f"numbanet-data-{worker}",
            daemon=True,
        )
        try:
            process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            ours.close()
            raise ArgumentError(
                "the data set, collate_fn or worker_init_fn cannot be sent to a worker",
                got=str(error),
                mend="Define it at the top of a module; or fork, where that is safe, with "
                "multiprocessing_context='fork'",
            ) from error
        finally:
            theirs.close()
        self.workers.append(Worker(worker, process, ours, [Inbox(name) for name in names]))

    def _inherited(self, context: Any, ours: Connection) -> list[Connection]:
        """The ends of pipes that a fork copies: a pipe is closed when all copies are."""
        if context.get_start_method() != "fork":
            return []
        return [ours, *(worker.pipe for worker in self.workers)]

    def run(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches of an epoch, which ends any epoch before.

        Parameters
        ----------
        batches : iterable
            The indices of each batch; for streams, endless.

        Raises
        ------
        WorkerError
            If a worker died or did not answer in time, or if another epoch began meanwhile.
        """
        self.epoch = epoch = self.epoch + 1
        tasks = iter(batches)
        with self._closed_by_errors():
            self._forget()
            self._begin(tasks)
        counts = [0] * len(self.workers)
        while self.pending:
            worker = self.pending.popleft()
            with self._closed_by_errors():
                answer = self._receive(worker)
                if answer.letter is None:
                    continue
                block = counts[worker.id] % len(worker.boxes)
                counts[worker.id] += 1
                content = worker.boxes[block].take(answer.letter)
                if answer.kind == "failure":
                    content.throw(worker.id)
                self._ask(worker, tasks, block)
            yield content
            if self.epoch != epoch:
                raise WorkerError("another iteration over this DataLoader began meanwhile")

    @contextlib.contextmanager
    def _closed_by_errors(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    @property
    def is_closed(self) -> bool:
        return not self.close.alive

    def _begin(self, tasks: Iterator[Any]) -> None:
        for worker in self.workers:
            self._send(worker, Task(None, -1))
        for block in range(len(self.workers[0].boxes)):
            for worker in self.workers:
                self._ask(worker, tasks, block)

    def _forget(self) -> None:
        """Receive what an epoch that was broken off has asked for."""
        while self.pending:
            self._receive(self.pending.popleft())

    def _ask(self, worker: Worker, tasks: Iterator[Any], block: int) -> None:
        for indices in tasks:
            self.pending.append(worker)
            self._send(worker, Task(indices, block))
            return

    def _send(self, worker: Worker, task: Task) -> None:
        try:
            worker.pipe.send(task)
        except OSError:
            raise self._death(worker) from None

    def _receive(self, worker: Worker) -> Answer:
        ready = connection.wait(
            [worker.pipe, worker.process.sentinel], timeout=self.timeout or None
        )
        if not ready:
            raise WorkerError(
                f"worker {worker.id} gave no batch within {self.timeout} seconds",
                mend="Raise the DataLoader's timeout",
            )
        try:
            return worker.pipe.recv() if worker.pipe.poll() else self._gone(worker)
        except (EOFError, OSError):
            return self._gone(worker)

    def _gone(self, worker: Worker) -> Any:
        raise self._death(worker)

    def _death(self, worker: Worker) -> WorkerError:
        worker.process.join(PATIENCE)
        code = worker.process.exitcode
        return WorkerError(
            f"worker {worker.id} of a DataLoader died, its exit code is {code}",
            mend=_DEATHS.get(code, _UNGUARDED),
        )


def context_of(name: Any) -> Any:
    """The multiprocessing context of a start method's name; a context is itself.

    The default is ``"forkserver"`` where there is one. Its server imports this package once,
    and all workers begin with that.
    """
    if name is not None and not isinstance(name, str):
        return name
    methods = multiprocessing.get_all_start_methods()
    if name is None:
        name = "forkserver" if "forkserver" in methods else "spawn"
    if name not in methods:
        raise ArgumentError(
            "unknown multiprocessing_context", got=repr(name), expected=", ".join(methods)
        )
    context = multiprocessing.get_context(name)
    if name == "forkserver":
        context.set_forkserver_preload(["__main__", "numbanet.data"])
    return context


def _close(workers: list[Worker], owner: int) -> None:
    """Let all workers end, by force if they do not, and remove what they have shared."""
    # A worker that was forked has a copy of this pool, which is not its own to close.
    if os.getpid() != owner:
        return
    for worker in workers:
        worker.pipe.close()
    deadline = time.monotonic() + PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
    for end in ("terminate", "kill"):
        for worker in workers:
            if worker.process.is_alive():
                getattr(worker.process, end)()
        for worker in workers:
            worker.process.join(PATIENCE)
    for worker in workers:
        for box in worker.boxes:
            box.remove()
        worker.process.close()
    workers.clear()
