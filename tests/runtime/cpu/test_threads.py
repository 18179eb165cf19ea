"""Threads: they change no result, wait quietly, and survive forks, interrupts and resizing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from numbanet.errors import ArgumentError
from numbanet.ir import Variable
from numbanet.plan.program import Address, Launch, Program
from numbanet.runtime.cpu import CpuDevice, get_num_threads, set_num_threads
from numbanet.runtime.cpu.cores import available_cores
from numbanet.runtime.cpu.sharing import is_worth_sharing
from numbanet.runtime.cpu.threads import THREADS, Pool
from tests.runtime.cpu.programs import (
    AFFINE,
    LARGE,
    SPIN,
    counting_program,
    float_buffer,
    launch,
    reversing_program,
)

ROOT = Path(__file__).parents[3]
POSIX = pytest.mark.skipif(os.name != "posix", reason="forks and signals are POSIX's")


@pytest.fixture(autouse=True)
def _restore_threads():
    before = get_num_threads()
    yield
    set_num_threads(before)


def reversed_and_raised(numbers: np.ndarray, times: int) -> np.ndarray:
    return (numbers if times % 2 == 0 else numbers[::-1]) + np.float32(times)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 64, 1023])
def test_every_launch_sees_what_the_others_wrote(threads, size):
    set_num_threads(threads)
    start = np.arange(size, dtype=np.float32)
    variable = Variable(start, "v")
    executable = CpuDevice().load(reversing_program(variable, launches=40, seed=size))
    executable.run(5)
    executable.run(3)
    np.testing.assert_array_equal(variable.numpy(), reversed_and_raised(start, 8 * 40))


@pytest.mark.parametrize("seed", range(6))
def test_any_mixture_of_shared_and_lone_launches_is_in_order(seed):
    set_num_threads(2)
    variable = Variable(np.zeros(4, dtype=np.float32), "v")
    executable = CpuDevice().load(reversing_program(variable, launches=6, seed=seed))
    for _ in range(300):
        executable.run()
    executable.run(2000)
    np.testing.assert_array_equal(variable.numpy(), np.full(4, 2300 * 6))


@pytest.mark.parametrize("threads", [2, 5])
def test_a_run_ends_though_no_follower_has_a_processor(threads, monkeypatch):
    """Nobody waits for a thread that has claimed nothing, and its part is done by others."""
    monkeypatch.setattr(Pool, "_follow", lambda pool, thread: None)
    set_num_threads(threads)
    start = np.arange(65, dtype=np.float32)
    variable = Variable(start, "v")
    CpuDevice().load(reversing_program(variable, launches=40, seed=0)).run(3)
    np.testing.assert_array_equal(variable.numpy(), reversed_and_raised(start, 3 * 40))


def test_the_number_of_threads_can_change_between_runs():
    variable = Variable(np.zeros(16, dtype=np.float32), "v")
    executable = CpuDevice().load(counting_program(variable))
    for threads in (1, 3, 2, 1, 4):
        set_num_threads(threads)
        assert get_num_threads() == threads
        executable.run(10)
        followers = [t for t in threading.enumerate() if t.name.startswith("numbanet-")]
        assert len(followers) == threads - 1
    np.testing.assert_array_equal(variable.numpy(), np.full(16, 50))


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True, None])
def test_a_number_of_threads_that_is_none_is_refused(count):
    with pytest.raises(ArgumentError):
        set_num_threads(count)


def run_python(source: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source)],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_environment_sets_the_number_of_threads():
    source = "from numbanet.runtime.cpu import get_num_threads; print(get_num_threads())"
    assert run_python(source, NUMBANET_NUM_THREADS="3") == "3\n"


def test_a_wrong_number_in_the_environment_is_an_error(monkeypatch):
    monkeypatch.setenv("NUMBANET_NUM_THREADS", "many")
    monkeypatch.setattr(THREADS, "_count", None)
    with pytest.raises(ArgumentError, match="NUMBANET_NUM_THREADS"):
        get_num_threads()


def test_no_more_cores_are_used_than_the_process_may():
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1 << 20
    assert 1 <= available_cores() <= allowed


def make_running(threads: int) -> tuple[Variable, CpuDevice]:
    set_num_threads(threads)
    variable = Variable(np.zeros(8, dtype=np.float32), "v")
    return variable, CpuDevice()


def test_followers_park_when_nothing_runs_and_wake_when_it_does():
    variable, device = make_running(3)
    executable = device.load(counting_program(variable))
    for _ in range(3):
        executable.run()
        deadline = time.monotonic() + 30
        with THREADS.lock:
            pool = THREADS.pool()
        while pool._parked < 2:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        before = time.process_time()
        time.sleep(0.2)
        assert time.process_time() - before < 0.1
    np.testing.assert_array_equal(variable.numpy(), np.full(8, 3))


def test_a_run_that_was_announced_and_never_came_does_no_harm():
    variable, device = make_running(2)
    executable = device.load(counting_program(variable))
    executable.run()
    with THREADS.lock:
        THREADS.pool()._call()
    time.sleep(0.05)
    executable.run(3)
    np.testing.assert_array_equal(variable.numpy(), np.full(8, 4))


def test_small_launches_are_not_shared():
    def worth(tiles: int, nbytes: int, flops: int = 0, threads: int = 2) -> bool:
        return is_worth_sharing(Launch(AFFINE, (), tiles, "", "", nbytes, flops), threads)

    assert worth(8, LARGE)
    assert worth(8, 0)
    assert worth(8, 8, flops=LARGE)
    assert not worth(8, 8)
    assert not worth(1, LARGE)
    assert not worth(8, LARGE, threads=1)


@POSIX
def test_a_forked_child_has_threads_of_its_own():
    source = """
        import os, warnings
        import numpy as np
        from numbanet.ir import Variable
        from numbanet.runtime.cpu import CpuDevice, set_num_threads
        from tests.runtime.cpu.programs import counting_program

        set_num_threads(2)
        variable = Variable(np.zeros(8, dtype=np.float32), "v")
        executable = CpuDevice().load(counting_program(variable))
        executable.run(2)
        warnings.simplefilter("ignore")
        child = os.fork()
        executable.run(3)
        ok = (variable.numpy() == 5).all()
        if child == 0:
            os._exit(0 if ok else 1)
        assert ok and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        print("both")
    """
    assert run_python(source) == "both\n"


@POSIX
def test_an_interrupt_stops_a_long_run_between_steps():
    set_num_threads(2)
    variable = Variable(np.zeros(2, dtype=np.float32), "v")
    v = float_buffer("variable", "v", 2, variable=variable)
    row = launch(SPIN, Address(v), 10_000, tiles=2)
    executable = CpuDevice().load(Program((row,), (v,), {}, {}, {variable: v}))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        executable.run(10**9)
    timer.join()
    executable.run(2)


def test_the_process_ends_while_followers_wait():
    source = """
        import numpy as np
        from numbanet.ir import Variable
        from numbanet.runtime.cpu import CpuDevice, set_num_threads
        from tests.runtime.cpu.programs import counting_program

        set_num_threads(3)
        variable = Variable(np.zeros(8, dtype=np.float32), "v")
        CpuDevice().load(counting_program(variable)).run(2)
        print(variable.numpy().sum())
    """
    assert run_python(source) == "16.0\n"
