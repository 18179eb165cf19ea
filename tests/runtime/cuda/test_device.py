"""Programs run on a CUDA device: here the simulated one; test_real.py has a GPU."""

import gc

import numpy as np
import pytest

from numbanet.errors import ArgumentError, DeviceError, OutOfMemoryError, ShapeError
from numbanet.ir import Variable
from numbanet.runtime.cuda import is_available, open_device
from numbanet.runtime.cuda.device import CudaDevice
from numbanet.runtime.cuda.simulated import SimulatorDriver
from tests.runtime.cuda.programs import failing, multiply_add

pytestmark = pytest.mark.simulator

X = np.array([1, 2, 3, 4, 5], np.float32)
W = np.array([1, -1, 2, 0, 3], np.float32)
C = np.array([10, 20, 30, 40, 50], np.float32)


class CountingDriver(SimulatorDriver):
    """Counts captures and waits."""

    captures = 0
    waits = 0

    def capture(self, step, times=1):
        self.captures += 1
        return super().capture(step, times)

    def synchronise(self):
        self.waits += 1


@pytest.fixture
def driver():
    return CountingDriver()


@pytest.fixture
def device(driver):
    return CudaDevice(driver)


@pytest.fixture
def weight():
    return Variable(W, "w", trainable=True)


def test_launches_are_timed_one_by_one(driver):
    program = multiply_add(Variable(W, "w"), C)
    executable = CudaDevice(driver).load(program)
    with pytest.raises(ArgumentError, match="not bound"):
        executable.time_launches()
    executable.bind("x", X)
    assert len(executable.time_launches()) == len(program.launches)
    assert driver.waits == 2 * len(program.launches)
    np.testing.assert_array_equal(executable.output("y"), X * W + C)


def test_runs_step_after_step(device, weight):
    step = device.load(multiply_add(weight, C))
    step.bind("x", X)
    for i in range(4):
        step.run()
        np.testing.assert_array_equal(step.output("y"), X * (W + i) + C)
    np.testing.assert_array_equal(weight.numpy(), W + 4)


def test_runs_several_steps_in_one_call(device, weight):
    step = device.load(multiply_add(weight, C))
    step.bind("x", X)
    step.run(steps=3)
    np.testing.assert_array_equal(step.output("y"), X * (W + 2) + C)
    step.run(steps=0)
    np.testing.assert_array_equal(weight.numpy(), W + 3)


def test_captures_once_and_does_not_wait(device, driver, weight):
    step = device.load(multiply_add(weight, C))
    step.bind("x", X)
    step.run()
    assert driver.captures == 0
    waits = driver.waits
    step.run(steps=5)
    assert (driver.captures, driver.waits) == (1, waits)


def test_a_new_input_is_seen_by_the_next_run(device, weight):
    step = device.load(multiply_add(weight, C))
    x = X.copy()
    step.bind("x", x)
    x[:] = np.nan  # what was bound was uploaded
    step.run(2)
    step.bind("x", -X)
    step.run()
    np.testing.assert_array_equal(step.output("y"), -X * (W + 2) + C)


def test_a_variable_can_be_replaced_between_runs(device, weight):
    step = device.load(multiply_add(weight, C))
    step.bind("x", X)
    step.run(2)
    weight.assign(np.zeros(5))
    step.run()
    np.testing.assert_array_equal(step.output("y"), C)


def test_programs_share_a_variable(device, weight):
    first, second = (device.load(multiply_add(weight, C)) for _ in range(2))
    first.bind("x", X)
    second.bind("x", X)
    first.run(2)
    second.run()
    np.testing.assert_array_equal(second.output("y"), X * (W + 2) + C)


def test_a_variable_moves_between_devices(device, weight):
    here = device.load(multiply_add(weight, C))
    here.bind("x", X)
    here.run(2)
    there = CudaDevice(SimulatorDriver()).load(multiply_add(weight, C))
    there.bind("x", X)
    there.run(2)
    here.run()
    np.testing.assert_array_equal(here.output("y"), X * (W + 4) + C)
    np.testing.assert_array_equal(weight.numpy(), W + 5)


def test_an_input_must_be_bound(device, weight):
    with pytest.raises(ArgumentError, match="x"):
        device.load(multiply_add(weight, C)).run()


def test_an_input_must_fit(device, weight):
    step = device.load(multiply_add(weight, C))
    with pytest.raises(ShapeError, match="'x'"):
        step.bind("x", np.zeros(6, np.float32))
    with pytest.raises(ArgumentError, match="'z'"):
        step.bind("z", X)
    with pytest.raises(ArgumentError, match="'z'"):
        step.output("z")


def test_a_program_that_does_not_fit_allocates_nothing(weight):
    driver = SimulatorDriver(memory_bytes=1000)
    with pytest.raises(OutOfMemoryError, match=r"bytes more needed.*free of 1,000"):
        CudaDevice(driver).load(multiply_add(weight, C))
    assert driver.memory_info() == (1000, 1000)
    assert weight.home is None
    np.testing.assert_array_equal(weight.numpy(), W)


def test_an_allocation_that_fails_midway_is_undone(weight):
    class Fragmented(SimulatorDriver):
        """Says that there is room, and then has none for small pieces."""

        def allocate(self, nbytes):
            if nbytes < 100:
                raise OutOfMemoryError("fragmented")
            return super().allocate(nbytes)

    driver = Fragmented()
    with pytest.raises(OutOfMemoryError, match="does not fit"):
        CudaDevice(driver).load(multiply_add(weight, C))
    gc.collect()
    free, total = driver.memory_info()
    assert free == total
    assert weight.home is None


def test_memory_is_given_back(device, driver):
    free, total = driver.memory_info()
    assert free == total
    weight = Variable(W, "w")
    step = device.load(multiply_add(weight, C))
    assert driver.memory_info()[0] < total - weight.type.nbytes
    del step
    gc.collect()
    assert driver.memory_info()[0] == total - weight.type.nbytes
    del weight
    gc.collect()
    assert driver.memory_info()[0] == total


def test_a_failing_kernel_names_its_layer(device):
    with pytest.raises(DeviceError, match="net/bad: kernel out_of_bounds of out_of_bounds_op"):
        device.load(failing()).run()


def test_the_simulator_is_chosen_where_it_is_on():
    assert is_available()
    assert open_device() is open_device()
    assert open_device().name == "cuda"
    assert isinstance(open_device().driver, SimulatorDriver)
