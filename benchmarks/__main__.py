"""``python -m benchmarks``: measure, print and write the tables."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.machine import describe, measure_limits
from benchmarks.peers import PEERS, can_run
from benchmarks.report import markdown, write
from benchmarks.rounds import measure
from benchmarks.workloads import WORKLOADS


def main() -> None:
    arguments = _arguments()
    threads = arguments.threads or len(os.sched_getaffinity(0))
    limits = measure_limits()
    machine = describe(threads)
    available = [name for name, (_, _, devices) in PEERS.items() if arguments.device in devices]
    peers = [name for name in available if not arguments.peer or name in arguments.peer]
    rounds = 3 if arguments.quick else arguments.rounds
    results = {}
    for name in arguments.workload or list(WORKLOADS):
        print(f"{WORKLOADS[name].title} ...", flush=True)
        able = [peer for peer in peers if can_run(peer, WORKLOADS[name])]
        found = measure(WORKLOADS[name], able, arguments.device, threads, rounds)
        results[name] = found
        for each in found:
            shown = f"{each.seconds * 1e6:12,.1f} us" if each.times else each.error
            print(f"  {each.peer:20s} {shown}", flush=True)
    if arguments.output is None:
        print(markdown(results, machine, limits))
    else:
        for path in write(arguments.output, arguments.device, results, machine, limits):
            print(f"wrote {path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workload", action="append", choices=tuple(WORKLOADS))
    parser.add_argument("--peer", action="append", choices=tuple(PEERS))
    parser.add_argument("--quick", action="store_true", help="three rounds only")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0, help="by default all cores")
    parser.add_argument(
        "--output", type=Path, help="folder for the tables, e.g. docs/benchmarks"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
