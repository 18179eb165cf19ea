"""One peer in a process of its own, driven by lines of JSON on standard input.

``{"do": "open", ...}`` builds the workload, checks losses and answers with them;
``{"do": "time", "steps": n}`` answers with seconds; end of input ends the process.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

from benchmarks.peers import PEERS
from benchmarks.session import Session, Task
from benchmarks.workloads import WORKLOADS

CHECKED_STEPS = 5


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints must not end up among the answers
    session: Session | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "open":
                session, answer = _open(request)
            elif session is None:
                raise RuntimeError("nothing is open")
            else:
                start = time.perf_counter()
                session.run(request["steps"])
                answer = {"seconds": time.perf_counter() - start}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _open(request: dict[str, str]) -> tuple[Session, dict[str, object]]:
    module, function, _ = PEERS[request["peer"]]
    start = time.perf_counter()
    opener = getattr(importlib.import_module(module), function)
    imported = time.perf_counter()
    checked = opener(_task(request, dropout=False))
    losses = checked.losses(CHECKED_STEPS)
    start_timed = time.perf_counter()
    session = opener(_task(request, dropout=True))
    session.run(1)
    first = time.perf_counter() - start_timed
    return session, {
        "import_seconds": imported - start,
        "first_step_seconds": first,
        "losses": losses,
        "version": _version(request["peer"]),
    }


def _task(request: dict[str, str], *, dropout: bool) -> Task:
    workload = WORKLOADS[request["workload"]]
    x, y = workload.data()
    return Task(workload, workload.weights(), x, y, request["device"], dropout)


def _version(peer: str) -> str:
    package = peer.split(".")[0]
    return f"{package} {importlib.import_module(package).__version__}"


if __name__ == "__main__":
    main()
