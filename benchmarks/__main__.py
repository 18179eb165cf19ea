"""``python -m benchmarks``: measure, print and write the tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.machine import Limits, cores, describe, measure_limits
from benchmarks.peers import PEERS
from benchmarks.process import Conditions, PeerError, Worker
from benchmarks.workloads import KINDS, WORKLOADS, Workload


def main() -> int:
    arguments = _arguments()
    if arguments.check:
        from benchmarks.golden import check

        return min(check(update=arguments.update), 1)
    _measure(arguments)
    return 0


def _measure(arguments: argparse.Namespace) -> None:
    from benchmarks.plans import Drawing, figures
    from benchmarks.report import Report
    from benchmarks.rounds import measure

    conditions = _conditions(arguments)
    device = conditions.device
    report = Report(describe(device, conditions.threads), _limits(conditions))
    for workload in _chosen(arguments):
        print(f"{workload.group}: {workload.title} ...", flush=True)
        if workload.subject is not None:
            shown = workload.quick() if conditions.is_quick else workload
            report.planned[workload.name] = figures(shown, Drawing(device))
        peers = _able(workload, arguments.peer or tuple(PEERS), device)
        found = report.found[workload.name] = measure(workload, peers, conditions)
        kind = KINDS[workload.kind]
        for each in found:
            shown = f"{each.middle * kind.scale:14,.2f} {kind.unit}" if each.is_good else ""
            print(f"  {each.peer:18s} {shown} {each.error}", flush=True)
    if arguments.output is None:
        print(report.markdown())
    else:
        for path in report.write(arguments.output):
            print(f"wrote {path}")


def _chosen(arguments: argparse.Namespace) -> list[Workload]:
    """Those named, by name or by group; else all that are meant for the device."""
    if not arguments.workload:
        return [each for each in WORKLOADS.values() if arguments.device in each.devices]
    return [WORKLOADS[name] for name in arguments.workload]


def _able(workload: Workload, names: tuple[str, ...], device: str) -> list[str]:
    return [
        name
        for name in names
        if workload.kind in PEERS[name].opens
        and device in PEERS[name].devices
        and PEERS[name].is_installed()
    ]


def _conditions(arguments: argparse.Namespace) -> Conditions:
    is_quick = arguments.quick
    return Conditions(
        device=arguments.device,
        threads=arguments.threads or cores(),
        rounds=arguments.rounds or (2 if is_quick else 15),
        budget=0.1 if is_quick else 0.3,
        patience=5.0 if is_quick else 60.0,
        # Compilers for GPUs take minutes for a large model.
        limit=120.0 if arguments.device == "cpu" else 600.0,
        is_quick=is_quick,
    )


def _limits(conditions: Conditions) -> Limits | None:
    if conditions.device == "cpu":
        return measure_limits()
    if not PEERS["torch"].is_installed():
        return None
    with Worker("torch", WORKLOADS["mlp-64"], conditions) as worker:
        try:
            return Limits(**worker.ask("limits"))
        except PeerError as error:
            print(f"no limits: {error}")
            return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workload", action="append", choices=tuple(WORKLOADS), metavar="NAME")
    parser.add_argument("--peer", action="append", choices=tuple(PEERS), metavar="NAME")
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds, small epochs: does it run?"
    )
    parser.add_argument("--rounds", type=int, default=0, help="by default 15")
    parser.add_argument("--threads", type=int, default=0, help="by default all cores")
    parser.add_argument(
        "--output", type=Path, help="folder for the tables, e.g. docs/benchmarks"
    )
    parser.add_argument(
        "--check", action="store_true", help="compare planned programs with golden.json"
    )
    parser.add_argument("--update", action="store_true", help="with --check: write it anew")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
