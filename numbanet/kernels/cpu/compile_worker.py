"""A process that compiles kernels for another one: see `numbanet.kernels.cpu.crew`.

It reads pickled jobs from its input and answers each with an object file, with None if there is
an error: then the other process compiles the kernel itself, and says what is wrong. The first
job is None, and so is its answer; it comes when Numba has been imported.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from typing import Any, BinaryIO

IDLE_SECONDS = 60


def main() -> None:
    """Answer until the input ends or nothing has been asked for a while."""
    # Ctrl-C reaches all processes of a terminal; the one that asks decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _answers()
    # Imported now so that the first answer says that this is done.
    from numbanet.kernels.cpu import mathematics  # noqa: F401

    questions: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(questions,), daemon=True).start()
    while (question := _next(questions)) is not _END:
        pickle.dump(_answer(question), answers)
        answers.flush()


_END = object()


def _answers() -> BinaryIO:
    """What was the standard output, which from now on is where errors go: anything printed
    would end up among the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _read(questions: queue.SimpleQueue[Any]) -> None:
    """Put everything from the input into the queue, and `_END` behind it."""
    try:
        while True:
            questions.put(pickle.load(sys.stdin.buffer))
    except Exception:  # A kernel that cannot be unpickled here is compiled over there.
        questions.put(_END)


def _next(questions: queue.SimpleQueue[Any]) -> Any:
    try:
        return questions.get(timeout=IDLE_SECONDS)
    except queue.Empty:
        return _END


def _answer(question: Any) -> Any:
    if question is None:
        return None
    from numbanet.kernels.cpu.translate import object_code

    try:
        return object_code(*question)
    except Exception:
        return None


if __name__ == "__main__":
    main()
