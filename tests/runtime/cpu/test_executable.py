"""Programs on the CPU: numbers, memory, errors."""

from __future__ import annotations

import gc
import threading
import tracemalloc

import numpy as np
import pytest

from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType, TensorType, Variable
from numbanet.plan.program import Address, Buffer, Program
from numbanet.runtime.cpu import CpuDevice, set_num_threads
from tests.runtime.cpu.programs import (
    AFFINE,
    affine_program,
    counting_program,
    float_buffer,
    launch,
    vector,
)


@pytest.fixture
def device():
    return CpuDevice()


@pytest.fixture(autouse=True)
def _two_threads():
    set_num_threads(2)
    yield
    set_num_threads(2)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("nbytes", [1, 1 << 30])
def test_a_program_computes_its_outputs(device, size, nbytes):
    executable = device.load(affine_program(size, nbytes))
    x = np.arange(size, dtype=np.float32)
    executable.bind("x", x)
    executable.run()
    np.testing.assert_array_equal(executable.output("y"), 2 * x + 1)


@pytest.mark.parametrize("size", [1, 1000, 20_000])
def test_a_call_binds_runs_and_returns_an_output(device, size):
    executable = device.load(affine_program(size))
    numbers = np.arange(4 * size, dtype=np.float32)
    for x in (numbers[:size], numbers[-size:], numbers[::4]):
        np.testing.assert_array_equal(executable.call("x", x, "y"), 2 * x + 1)
    executable.bind("x", numbers[:size])
    first = executable.call("x", numbers[-size:], "y")
    executable.bind("x", numbers[:size])
    executable.run()
    np.testing.assert_array_equal(executable.output("y"), 2 * numbers[:size] + 1)
    np.testing.assert_array_equal(first, 2 * numbers[-size:] + 1)
    np.testing.assert_array_equal(numbers, np.arange(4 * size))


@pytest.mark.parametrize("size", [3, 20_000])
def test_a_call_takes_what_bind_takes(device, size):
    executable = device.load(affine_program(size))
    for _ in range(2):
        with pytest.raises(ShapeError):
            executable.call("x", np.zeros(1, np.float32), "y")
        with pytest.raises(DTypeError):
            executable.call("x", np.zeros(size, np.float64), "y")
        with pytest.raises(ArgumentError, match="no such input"):
            executable.call("z", np.zeros(size, np.float32), "y")
        with pytest.raises(ArgumentError, match="no such output"):
            executable.call("x", np.zeros(size, np.float32), "z")
        np.testing.assert_array_equal(executable.call("x", np.zeros(size, "f"), "y"), 1)


@pytest.mark.parametrize("nbytes", [1, 1 << 30])
def test_timing_launches_runs_them_once(device, nbytes):
    program = affine_program(1000, nbytes)
    executable = device.load(program)
    with pytest.raises(ArgumentError, match="without numbers"):
        executable.time_launches()
    x = np.arange(1000, dtype=np.float32)
    executable.bind("x", x)
    seconds = executable.time_launches()
    assert len(seconds) == len(program.launches)
    assert min(seconds) >= 0
    np.testing.assert_array_equal(executable.output("y"), 2 * x + 1)


def test_timed_launches_come_one_after_the_other(device):
    counter = Variable(np.zeros(1, np.float32), "counter")
    executable = device.load(counting_program(counter))
    executable.time_launches()
    executable.run()
    executable.time_launches()
    np.testing.assert_array_equal(counter.numpy(), [3])


def test_an_input_is_read_where_it_lies(device):
    executable = device.load(affine_program(3))
    x = vector(1, 2, 3)
    executable.bind("x", x)
    executable.run()
    x[:] = 10
    executable.run()
    np.testing.assert_array_equal(executable.output("y"), [21, 21, 21])


def test_an_output_is_a_copy(device):
    executable = device.load(affine_program(2))
    executable.bind("x", vector(1, 2))
    executable.run()
    before = executable.output("y")
    executable.bind("x", vector(0, 0))
    executable.run()
    np.testing.assert_array_equal(before, [3, 5])


def test_the_array_that_is_bound_is_kept_alive(device):
    executable = device.load(affine_program(100_000))
    executable.bind("x", np.full(100_000, 4, dtype=np.float32))
    gc.collect()
    rubbish = [np.full(100_000, -1, dtype=np.float32) for _ in range(4)]
    executable.run()
    assert (executable.output("y") == 9).all()
    assert len(rubbish) == 4


@pytest.mark.parametrize("nbytes", [1, 1 << 30])
@pytest.mark.parametrize("steps", [0, 1, 1000])
def test_steps_add_up_in_a_variable(device, steps, nbytes):
    variable = Variable(vector(0, 5, 7), "v")
    executable = device.load(counting_program(variable, nbytes))
    executable.run(steps)
    np.testing.assert_array_equal(variable.numpy(), [steps, 5 + steps, 7 + steps])


def test_a_variable_lives_on_the_device_and_can_be_assigned(device):
    variable = Variable(vector(1, 2, 3), "v")
    executable = device.load(counting_program(variable))
    assert variable.home is device
    variable.assign(vector(10, 20, 30))
    executable.run()
    np.testing.assert_array_equal(variable.numpy(), [11, 21, 31])
    variable.numpy()[:] = 0
    np.testing.assert_array_equal(variable.numpy(), [11, 21, 31])


def test_two_programs_share_a_variable(device):
    variable = Variable(vector(0), "v")
    one, two = (device.load(counting_program(variable)) for _ in range(2))
    one.run(2)
    two.run(3)
    assert variable.numpy() == [5]


def test_a_variable_that_has_been_on_another_device_is_fetched_back(device):
    variable = Variable(vector(0), "v")
    here = device.load(counting_program(variable))
    there = CpuDevice().load(counting_program(variable))
    here.run()
    there.run()
    here.run()
    assert variable.numpy() == [3]


def test_a_larger_program_moves_the_arena_and_smaller_ones_follow(device):
    small = device.load(affine_program(3))
    small.bind("x", vector(1, 2, 3))
    small.run()
    large = device.load(affine_program(100_000))
    large.bind("x", np.ones(100_000, dtype=np.float32))
    large.run()
    small.run()
    np.testing.assert_array_equal(small.output("y"), [3, 5, 7])
    assert (large.output("y") == 3).all()


def test_constants_and_zeroed_memory_are_filled(device):
    constant = float_buffer("constant", "c", 2, array=vector(4, 5))
    zeroed, y = float_buffer("zeroed", "z", 2), float_buffer("output", "y", 2)
    z = float_buffer("output", "z", 2)
    launches = (
        launch(AFFINE, Address(constant), Address(y), 1.0, 0.0, tiles=2),
        launch(AFFINE, Address(zeroed), Address(z), 1.0, 0.0, tiles=2),
    )
    program = Program(launches, (constant, zeroed, y, z), {}, {"y": y, "z": z}, {})
    executable = device.load(program)
    executable.run()
    np.testing.assert_array_equal(executable.output("y"), [4, 5])
    np.testing.assert_array_equal(executable.output("z"), [0, 0])


def test_launches_without_tiles_and_empty_values_are_skipped(device):
    executable = device.load(affine_program(0))
    executable.bind("x", vector())
    executable.run(3)
    assert executable.output("y").shape == (0,)


def test_a_scalar_and_a_matrix_keep_their_shapes(device):
    x = Buffer("input", "x", 4, type=TensorType((), DType.FLOAT32))
    y = Buffer("output", "y", 4, type=TensorType((1, 1), DType.FLOAT32))
    launches = (launch(AFFINE, Address(x), Address(y), 3.0, 0.0, tiles=1),)
    executable = device.load(Program(launches, (x, y), {"x": x}, {"y": y}, {}))
    executable.bind("x", np.array(2, dtype=np.float32))
    executable.run()
    np.testing.assert_array_equal(executable.output("y"), [[6]])


def test_memory_starts_on_a_cache_line(device):
    variable = Variable(np.zeros(5), "v")
    assert device.adopt(variable).ctypes.data % device.alignment == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_running_allocates_nothing(device, threads):
    set_num_threads(threads)
    executable = device.load(affine_program(1000))
    x = np.ones(1000, dtype=np.float32)
    executable.bind("x", x)
    executable.run(2)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            executable.bind("x", x)
            executable.run()
        grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert grown < 10_000


def test_users_threads_may_run_at_once(device):
    variable = Variable(np.zeros(64, dtype=np.float32), "v")
    executables = [device.load(counting_program(variable)) for _ in range(4)]

    def work(executable):
        for _ in range(50):
            executable.run(2)

    workers = [threading.Thread(target=work, args=(each,)) for each in executables]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    np.testing.assert_array_equal(variable.numpy(), np.full(64, 400))


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros(4, dtype=np.float64), DTypeError, "float64"),
        ([0.0] * 4, DTypeError, "list"),
        (np.float32(1), DTypeError, "NumPy array, got float32"),
        (np.zeros(5, dtype=np.float32), ShapeError, r"\(5,\)"),
        (np.zeros((4, 1), dtype=np.float32), ShapeError, r"\(4, 1\)"),
        (np.zeros(8, dtype=np.float32)[::2], ArgumentError, "contiguous"),
        (np.zeros(17, dtype=np.uint8)[1:].view(np.float32), ArgumentError, "aligned"),
    ],
)
def test_what_does_not_fit_an_input_is_refused(device, array, error, words):
    executable = device.load(affine_program(4))
    with pytest.raises(error, match=words):
        executable.bind("x", array)


def test_names_that_the_program_lacks_are_refused(device):
    executable = device.load(affine_program(4))
    with pytest.raises(ArgumentError, match="'x'"):
        executable.bind("images", np.zeros(4, dtype=np.float32))
    with pytest.raises(ArgumentError, match="'y'"):
        executable.output("loss")


def test_a_run_without_inputs_and_an_output_without_a_run_are_refused(device):
    executable = device.load(affine_program(4))
    with pytest.raises(ArgumentError, match="Bind"):
        executable.run()
    executable.bind("x", np.zeros(4, dtype=np.float32))
    with pytest.raises(ArgumentError, match="first run"):
        executable.output("y")
