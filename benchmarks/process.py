"""A worker process, seen from the one that measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.peers import KEPT, PEERS
from benchmarks.workloads import Workload


class PeerError(RuntimeError):
    """A peer that could not be opened or run, in its own words."""


@dataclass(frozen=True)
class Conditions:
    """Under which everything is measured.

    Attributes
    ----------
    device : str
    threads : int
    rounds : int
    budget : float
        Seconds of one sample.
    patience : float
        Seconds of a peer on one workload, after which no further sample is begun.
    limit : float
        Seconds of one request, after which the peer is given up.
    is_quick : bool
        Epochs have a tenth of their samples.
    """

    device: str
    threads: int
    rounds: int
    budget: float
    patience: float
    limit: float = 120.0
    is_quick: bool = False


_DEVICES = {
    "cpu": {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"},
    "cuda": {"JAX_PLATFORMS": "cuda,cpu"},
}
"""Environment that keeps frameworks from choosing another device by themselves."""


class Worker:
    """A peer's process for one workload; leaving the ``with`` block ends it."""

    def __init__(self, peer: str, workload: Workload, conditions: Conditions) -> None:
        self.peer = peer
        self._limit = conditions.limit
        self._folder = tempfile.TemporaryDirectory(prefix="numbanet-benchmarks-")
        self._output = Path(self._folder.name) / "output"
        arguments = {
            "peer": peer,
            "workload": workload.name,
            "device": conditions.device,
            "is_quick": conditions.is_quick,
        }
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", json.dumps(arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env=self._environment(conditions),
            )

    def _environment(self, conditions: Conditions) -> Mapping[str, str]:
        folders = {"empty": Path(self._folder.name) / "empty", "kept": KEPT}
        own = {k: v.format(**folders) for k, v in PEERS[self.peer].environment.items()}
        count = str(conditions.threads)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBANET_NUM_THREADS")
        threads = dict.fromkeys(names, count)
        return os.environ | threads | _DEVICES[conditions.device] | own

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises
        ------
        PeerError
            With the error that the peer met, or the last it said before its process ended.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise PeerError("no pipes")
        try:
            self._process.stdin.write(json.dumps({"do": do} | arguments) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        start = time.perf_counter()
        timer = threading.Timer(self._limit, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            is_late = time.perf_counter() - start >= self._limit
            raise PeerError(f"not done after {self._limit:.0f} s") if is_late else self._ended()
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def _ended(self) -> PeerError:
        code = self._process.wait()
        said = self._output.read_text().strip().splitlines()
        return PeerError(f"the process ended with code {code}: {said[-1] if said else ''}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._folder.cleanup()
