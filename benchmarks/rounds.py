"""Interleaved rounds: every peer in its own process, taking turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from benchmarks.workloads import Workload


class PeerError(RuntimeError):
    """A peer that could not be opened or run, in its own words."""


@dataclass
class Measurement:
    """What one peer did on one workload; times are seconds per step."""

    peer: str
    workload: str
    version: str = ""
    import_seconds: float = 0.0
    first_step_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def seconds(self) -> float:
        return median(self.times)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        low, high = np.percentile(self.times, (25, 75))
        return float((high - low) / 2 / self.seconds)


class Peer:
    """A worker process."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        count = str(threads)
        environment = os.environ | {
            "OMP_NUM_THREADS": count,
            "NUMBANET_NUM_THREADS": count,
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, **request: object) -> dict:
        if self.process.stdin is None or self.process.stdout is None:
            raise PeerError("no pipes")
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise PeerError(f"the process ended with code {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(timeout=60)


@contextmanager
def opened(names: Sequence[str], threads: int) -> Iterator[list[Peer]]:
    peers = [Peer(name, threads) for name in names]
    try:
        yield peers
    finally:
        for peer in peers:
            peer.close()


def measure(
    workload: Workload, names: Sequence[str], device: str, threads: int, rounds: int
) -> list[Measurement]:
    """All peers on one workload. A peer whose losses are not the others' is not timed."""
    found = {name: Measurement(name, workload.name) for name in names}
    with opened(names, threads) as peers:
        for peer in peers:
            _open(peer, found[peer.name], workload, device)
        _compare_losses(list(found.values()))
        able = [peer for peer in peers if not found[peer.name].error]
        for peer in able:
            peer.ask(do="time", steps=workload.steps)  # warm up
        for turn in range(rounds):
            # Each round starts with another peer, so that none is always first.
            shift = turn % len(able) if able else 0
            for peer in able[shift:] + able[:shift]:
                seconds = peer.ask(do="time", steps=workload.steps)["seconds"]
                found[peer.name].times.append(seconds / workload.steps)
    return list(found.values())


def _open(peer: Peer, found: Measurement, workload: Workload, device: str) -> None:
    try:
        answer = peer.ask(do="open", peer=peer.name, workload=workload.name, device=device)
    except PeerError as error:
        found.error = str(error)
        return
    found.version = answer["version"]
    found.import_seconds = answer["import_seconds"]
    found.first_step_seconds = answer["first_step_seconds"]
    found.losses = answer["losses"]


def _compare_losses(found: list[Measurement], tolerance: float = 1e-3) -> None:
    """Losses are compared with the median peer's; who differs gets an error, not a time."""
    able = [each for each in found if not each.error]
    if not able:
        return
    middle = np.median([each.losses for each in able], axis=0)
    for each in able:
        if not np.allclose(each.losses, middle, rtol=tolerance, atol=1e-6):
            each.error = f"losses {each.losses} differ from {middle.tolist()}"
