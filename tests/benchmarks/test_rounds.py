"""Worker processes, rounds and tables, on a workload that takes no time."""

from __future__ import annotations

import pytest

from benchmarks.install import closure, measure_install
from benchmarks.machine import Limits
from benchmarks.measurement import Measurement, compare_numbers
from benchmarks.plans import Drawing, figures
from benchmarks.process import Conditions, PeerError, Worker
from benchmarks.report import Report
from benchmarks.rounds import measure
from benchmarks.workloads import WORKLOADS
from numbanet.errors import DeviceError

PRODUCT = WORKLOADS["matmul-64x64x64"]
BRIEF = Conditions("cpu", threads=1, rounds=2, budget=0.001, patience=1.0, is_quick=True)


def test_a_peer_is_timed_in_its_own_process() -> None:
    (found,) = measure(PRODUCT, ["numpy"], BRIEF)
    assert found.is_good
    assert len(found.samples) == 2
    assert min(found.samples) > 0
    assert found.version.startswith("numpy ")
    assert found.numbers == pytest.approx([8.0], rel=0.1)  # of 64 products of normal numbers


def test_an_impatient_run_takes_one_sample() -> None:
    impatient = Conditions("cpu", 1, rounds=3, budget=0.0, patience=0.0)
    (found,) = measure(PRODUCT, ["numpy"], impatient)
    assert len(found.samples) == 1


def test_the_error_of_a_peer_is_its_result() -> None:
    (found,) = measure(WORKLOADS["mlp-64"], ["numpy"], BRIEF)
    assert not found.is_good
    assert "KeyError" in found.error


def test_a_process_that_ends_says_what_it_said_last() -> None:
    with Worker("numpy", PRODUCT, BRIEF) as worker:
        worker._process.kill()
        with pytest.raises(PeerError, match="ended with code -9"):
            worker.ask("open")


def test_a_slow_peer_is_given_up() -> None:
    hasty = Conditions("cpu", 1, rounds=1, budget=0.0, patience=0.0, limit=0.001)
    (found,) = measure(PRODUCT, ["numpy"], hasty)
    assert found.error == "not done after 0 s"


def test_who_computes_something_else_is_not_timed() -> None:
    found = [Measurement(peer, "x", numbers=[n]) for peer, n in (("a", 1), ("b", 1), ("c", 2))]
    compare_numbers(found)
    assert [bool(each.error) for each in found] == [False, False, True]


def test_the_table_shows_ratios_targets_and_shares() -> None:
    workload = WORKLOADS["softmax-8192x1024"]
    report = Report({"device": "cpu"}, Limits(1e12, 1e10, "made up"))
    report.planned[workload.name] = figures(workload, Drawing("cpu"))
    report.found[workload.name] = [
        Measurement("numbanet", workload.name, "numbanet 0", samples=[0.010, 0.010]),
        Measurement("torch", workload.name, "torch 2", samples=[0.020, 0.030]),
        Measurement("jax.jit", workload.name, error="no such thing"),
    ]
    text = report.markdown()
    assert "## Row kernels" in text
    moved = report.planned[workload.name].nbytes
    share = f"{moved / 1e10 / 0.010:.0%}"
    ours = f"| numbanet (numbanet 0) | 10,000 | 0% | 0.40 | 0.6 | {share} |"
    assert ours in text
    assert "| torch (torch 2) | 25,000 | 10% | 1.00 |" in text
    assert "no such thing" in text


def test_a_drawing_runs_nothing() -> None:
    with pytest.raises(DeviceError):
        Drawing("cpu").load(None)  # type: ignore[arg-type]


def test_install_size_follows_requirements() -> None:
    assert {"numba", "llvmlite", "numpy"} <= closure("numba")
    found = measure_install("numpy")
    assert 1e6 < found.middle < 1e9
