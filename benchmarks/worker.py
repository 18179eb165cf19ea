"""One peer in a process of its own, driven by lines of JSON on standard input.

Each names what to ``do``, a method of `Server`, and its arguments. The answer is a line too.
Frameworks are imported when they are asked for, so that their import can be timed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from benchmarks.memory import reset_peak, resident_bytes
from benchmarks.peers import PEERS

CHECKED = 3
"""Steps whose losses are compared."""


class Server:
    """A peer and a workload."""

    def __init__(self, peer: str, workload: str, device: str, is_quick: bool) -> None:
        self.peer = PEERS[peer]
        self.name, self.device, self.is_quick = workload, device, is_quick
        self.steps = 1

    def open(self) -> dict[str, Any]:
        """Import the framework, build the model and do the first step, each timed."""
        start = time.perf_counter()
        # NumPy counts as part of the framework: all of them need it.
        from benchmarks.workloads import WORKLOADS

        workload = WORKLOADS[self.name]
        self.opener = self.peer.opener(workload.kind)
        imported = time.perf_counter()
        self.workload = workload.quick() if self.is_quick else workload
        task = self._task(self.workload, is_random=True)
        self.bytes_before = resident_bytes()
        built = time.perf_counter()
        self.session = self.opener(task)
        opened = time.perf_counter()
        self.session.run(1)
        return {
            "import_seconds": imported - start,
            "build_seconds": opened - built,
            "first_seconds": time.perf_counter() - opened,
            "version": self.peer.version(),
        }

    def check(self) -> dict[str, Any]:
        """Numbers that all peers must agree on, from the initial weights."""
        is_epoch = self.workload.kind == "epoch"
        workload = self.workload.of_few_samples() if is_epoch else self.workload
        session = self.opener(self._task(workload, is_random=False))
        return {"numbers": session.check(1 if is_epoch else CHECKED)}

    def prepare(self, budget: float) -> dict[str, Any]:
        """Find how many steps take about ``budget`` seconds, at least one, and warm up.

        Where that is one step, its time comes back: a slow peer's time is dear.
        """
        seconds = self._seconds(1)
        if seconds < budget:
            seconds = min(seconds, self._seconds(1))
        steps = max(1, round(budget / seconds))
        batches = self.workload.batches
        self.steps = steps if steps < batches else steps // batches * batches
        if self.steps == 1:
            return {"seconds": [seconds]}
        self._seconds(self.steps)
        return {"seconds": []}

    def time(self) -> dict[str, Any]:
        """Seconds of a step, over as many as were found to fit."""
        return {"seconds": self._seconds(self.steps) / self.steps}

    def memory(self) -> dict[str, Any]:
        """Bytes that the process holds at most while it trains, beyond those it held before
        the model was built."""
        reset_peak()
        self.session.run(4)
        return {"bytes": resident_bytes(peak=True) - self.bytes_before}

    def limits(self) -> dict[str, Any]:
        """What the device reaches; see `benchmarks.machine`."""
        from benchmarks.peers.with_torch.limits import measure

        return measure(self.device)

    def _seconds(self, steps: int) -> float:
        start = time.perf_counter()
        self.session.run(steps)
        return time.perf_counter() - start

    def _task(self, workload: Any, *, is_random: bool) -> Any:
        from benchmarks.session import Task

        arrays = workload.arrays()
        return Task(workload, workload.weights(), arrays, self.device, is_random)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints must not end up among the answers
    server = Server(**json.loads(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(server, request.pop("do"))(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
