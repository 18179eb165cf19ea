"""What happens in a worker process of a `DataLoader`."""

from __future__ import annotations

import pickle
import random
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from numbanet.data.collate import Collate
from numbanet.data.fetch import END, Fetch, fetcher
from numbanet.data.shared import Letter, Outbox
from numbanet.errors import WorkerError
from numbanet.initializers import set_seed


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this is.

    Attributes
    ----------
    id, num_workers : int
    seed : int
        Of this worker: another one each time that workers are started.
    dataset : Dataset
        The copy of this worker.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


class _Process:
    """What this process is."""

    info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Which worker of a `DataLoader` this process is; None in any other process."""
    return _Process.info


@dataclass(frozen=True)
class Job:
    """What all workers of a loader are told when they start."""

    dataset: Any
    collate: Collate
    batch_size: int | None
    is_batched: bool
    drop_last: bool
    initialise: Callable[[int], None] | None
    workers: int
    blocks: int

    def fetcher(self) -> Fetch:
        return fetcher(
            self.dataset, self.collate, self.batch_size, self.is_batched, self.drop_last
        )


class Task(NamedTuple):
    """The indices of a batch; or the beginning of an epoch, if there is no block."""

    indices: Any
    block: int


class Answer(NamedTuple):
    """A batch, an error, or neither at the end of a stream."""

    kind: str
    letter: Letter | None


class Failure(NamedTuple):
    """An error of a worker, and where it happened."""

    error: BaseException | None
    text: str

    def throw(self, worker: int) -> None:
        """Raise the error here, with the worker's traceback as its cause."""
        cause = WorkerError(f"in worker {worker} of a DataLoader:\n\n{self.text}")
        if self.error is None:
            raise cause
        raise self.error from cause


def block_name(prefix: str, worker: int, block: int) -> str:
    return f"{prefix}_{worker}_{block}"


def work(
    job: Job,
    worker: int,
    seed: int,
    prefix: str,
    pipe: Connection,
    inherited: Sequence[Connection],
) -> None:
    """Answer tasks until the pipe is closed, or the parent is gone."""
    for end in inherited:
        end.close()
    # Ctrl-C reaches the whole group of processes; the parent closes the pipe when it has heard.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    boxes = [Outbox(block_name(prefix, worker, block)) for block in range(job.blocks)]
    try:
        _answer_all(job, worker, seed, pipe, boxes)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        for box in boxes:
            box.close()


def _answer_all(
    job: Job, worker: int, seed: int, pipe: Connection, boxes: list[Outbox]
) -> None:
    fetch = _guarded(lambda: _begin(job, worker, seed))
    while True:
        task: Task = _next_task(pipe)
        if task.block < 0:
            fetch = fetch if isinstance(fetch, Failure) else _guarded(job.fetcher)
            continue
        result = fetch if isinstance(fetch, Failure) else _guarded(fetch, task.indices)
        pipe.send(_answer(result, boxes[task.block]))


def _begin(job: Job, worker: int, seed: int) -> Fetch:
    """Seed everything, tell the user's code where it is, and let it prepare the process."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    set_seed(seed)
    _Process.info = WorkerInfo(worker, job.workers, seed, job.dataset)
    if job.initialise is not None:
        job.initialise(worker)
    return job.fetcher()


def _next_task(pipe: Connection) -> Any:
    # A process that the parent forked may hold its end of the pipe open when it is gone.
    parent = parent_process()
    assert parent is not None
    if pipe not in connection.wait([pipe, parent.sentinel]):
        raise EOFError
    return pipe.recv()


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> Failure:
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return Failure(None, text)
    return Failure(error, text)


def _answer(result: Any, box: Outbox) -> Answer:
    if result is END:
        return Answer("end", None)
    kind = "failure" if isinstance(result, Failure) else "batch"
    letter = _guarded(box.put, result)
    if isinstance(letter, Failure):
        return Answer("failure", box.put(letter))
    return Answer(kind, letter)
