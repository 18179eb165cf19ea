"""What holds of a GPU's memory, steps and neighbours; some of it on the simulator, too."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import ops
from numbanet.compile import Options, compile_program
from numbanet.errors import ArgumentError, DeviceError, OutOfMemoryError, ShapeError
from numbanet.ir import Graph, Update, Variable
from numbanet.kernels.kernel import Cost
from numbanet.layers import Conv2D, Dense, Flatten
from numbanet.runtime import get_device
from numbanet.runtime.cuda.arrays import DeviceArray
from numbanet.runtime.cuda.device import CudaDevice
from numbanet.runtime.cuda.dlpack import import_from
from numbanet.runtime.cuda.executable import CudaExecutable
from numbanet.runtime.cuda.memory import Block
from tests.runtime.cuda.programs import failing, multiply_add  # noqa: F401, for `LOSE`

BOTH = [
    pytest.param("cuda", marks=pytest.mark.simulator, id="simulator"),
    pytest.param("cuda", marks=pytest.mark.gpu, id="gpu"),
]
GPU = [pytest.param("cuda", marks=pytest.mark.gpu, id="gpu")]
N = 131
X, W, C = np.random.default_rng(0).standard_normal((3, N)).astype(np.float32)
TOLERANCE: Any = {"rtol": 1e-5, "atol": 1e-5}


def cuda(name: str) -> CudaDevice:
    device = get_device(name)
    assert isinstance(device, CudaDevice)
    return device


@pytest.fixture(params=BOTH)
def device(request: pytest.FixtureRequest) -> CudaDevice:
    return cuda(request.param)


@pytest.fixture(params=GPU)
def gpu(request: pytest.FixtureRequest) -> CudaDevice:
    return cuda(request.param)


def loaded(device: CudaDevice, weight: Variable | None = None) -> CudaExecutable:
    step = device.load(multiply_add(weight or Variable(W, "w"), C))
    step.bind("x", X)
    return step


def free_bytes(device: CudaDevice) -> int:
    while gc.collect():
        pass  # what a collection frees may be the last to hold something else
    with device.driver:
        device.driver.synchronise()
        return device.driver.memory_info()[0]


def trained(device: CudaDevice, steps: int, *, directly: bool = False) -> list[np.ndarray]:
    """Variables after steps of a small network with a sum, a product and random numbers."""
    rng = np.random.default_rng(1)
    weight = Variable(rng.standard_normal((33, 17)).astype(np.float32), "w")
    total = Variable(np.zeros(17, np.float32), "total")
    x = ops.input_value("x", (65, 33))
    w, t = ops.variable_value(weight), ops.variable_value(total)
    y = ops.tanh(x @ w)
    dw = ops.matmul(x, y * (1 - y * y), transpose_a=True)
    graph = Graph((x,), {"y": y}, (Update(w, w - 0.01 * dw), Update(t, t + ops.sum(y, 0))))
    step = device.load(compile_program(graph, device))
    step.bind("x", rng.standard_normal((65, 33)).astype(np.float32))
    if directly:
        for _ in range(steps):
            step.time_launches()
    else:
        step.run(steps)
    return [step.output("y"), weight.numpy(), total.numpy()]


def assert_same_bits(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# Steps.


def test_steps_follow_each_other(device: CudaDevice) -> None:
    weight = Variable(W, "w")
    step = loaded(device, weight)
    for i in range(4):
        step.run()
        np.testing.assert_allclose(step.output("y"), X * (W + i) + C, **TOLERANCE)
    np.testing.assert_allclose(weight.numpy(), W + 4, rtol=1e-6, atol=1e-6)


def test_many_steps_in_a_graph_are_many_steps(device: CudaDevice) -> None:
    counter = Variable(np.zeros(3, np.float32), "counter")
    value = ops.variable_value(counter)
    program = compile_program(Graph((), {}, (Update(value, value + 1.0),)), device)
    step = device.load(program)
    for steps in (1, 2, 40, 16, 33):
        step.run(steps)
    np.testing.assert_array_equal(counter.numpy(), np.full(3, 92))


def test_captured_steps_give_the_bits_of_launched_ones(gpu: CudaDevice) -> None:
    assert_same_bits(trained(gpu, 50), trained(gpu, 50, directly=True))


def test_two_runs_give_the_same_bits(gpu: CudaDevice) -> None:
    assert_same_bits(trained(gpu, 50), trained(gpu, 50))


def test_lanes_give_the_bits_of_one_lane(
    device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CudaDevice, "join", lambda self, calls: None)
    found = []
    for cost in (Cost(1e-3, 0.01), None):
        monkeypatch.setattr(CudaDevice, "estimate", lambda self, call, cost=cost: cost)
        nb.set_seed(0)
        rng = np.random.default_rng(0)
        x = rng.uniform(size=(12, 6, 6, 1)).astype(np.float32)
        model = nb.Sequential(
            [nb.Input((6, 6, 1)), Conv2D(2, 3), Flatten(), Dense(5), Dense(3)]
        )
        loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(nb.optimizers.SGD(0.1, momentum=0.9), loss, device=device)
        assert (model.program(batch_size=4).lanes > 1) == (cost is not None)
        model.fit(x, rng.integers(0, 3, 12), batch_size=4, epochs=2, verbose=0, seed=1)
        found.append(model.get_weights())
    assert_same_bits(*found)


def test_batches_that_overtake_each_other_stay_in_order(device: CudaDevice) -> None:
    """Inputs travel on another stream than steps: each step must see its own."""
    total = Variable(np.zeros(N, np.float32), "total")
    x = ops.input_value("x", (N,))
    value = ops.variable_value(total)
    step = device.load(compile_program(Graph((x,), {}, (Update(value, value + x),)), device))
    batch = np.empty(N, np.float32)
    count = 8 if device.driver.description.startswith("Numba") else 500
    for i in range(count):
        batch[:] = i
        step.bind("x", batch)
        step.run()
    np.testing.assert_array_equal(total.numpy(), np.full(N, count * (count - 1) / 2))


def test_large_inputs_are_carried_in_pieces(gpu: CudaDevice) -> None:
    numbers = np.random.default_rng(0).standard_normal(5_000_001).astype(np.float32)
    np.testing.assert_array_equal(gpu.put(numbers).numpy(), numbers)


def test_programs_of_many_sizes_share_an_arena(device: CudaDevice) -> None:
    """A larger program moves it; the smaller ones follow."""
    steps = {}
    for size in (3, 700, 5, 1500):
        x = ops.input_value("x", (size,))
        y = ops.sum(ops.exp(x) / ops.sum(ops.exp(x)) * x)
        graph = Graph((x,), {"y": y})
        program = compile_program(graph, device, options=Options(passes=frozenset()))
        steps[size] = device.load(program)
        steps[size].bind("x", X[:1].repeat(size))
        for each in steps.values():
            each.run()
            np.testing.assert_allclose(each.output("y"), X[0], rtol=1e-4)


# Memory.


def test_memory_is_constant_over_ten_thousand_steps(gpu: CudaDevice) -> None:
    step = loaded(gpu)
    batch = X.copy()

    def work(count: int) -> None:
        for _ in range(count):
            step.bind("x", batch)
            step.run()
        step.output("y")
        step.run(10 * count)

    work(40)
    before, blocks = free_bytes(gpu), len(gc.get_objects())
    work(1000)
    assert free_bytes(gpu) == before
    assert len(gc.get_objects()) < blocks + 100


def test_memory_comes_back(device: CudaDevice) -> None:
    loaded(device).run(2)
    before = free_bytes(device)
    loaded(device).run(2)
    assert free_bytes(device) == before


@pytest.fixture
def nearly_full(gpu: CudaDevice) -> Iterator[CudaDevice]:
    """All but some 128 MB of the memory are taken."""
    loaded(gpu).run(3)  # whatever the driver itself needs for that
    with gpu.driver:
        blocks = []
        while (free := gpu.driver.memory_info()[0]) > 200 << 20:
            blocks.append(Block(gpu.driver, free - (128 << 20)))
    yield gpu
    blocks.clear()


def test_a_program_without_room_says_so_and_others_go_on(nearly_full: CudaDevice) -> None:
    before = free_bytes(nearly_full)
    x = ops.input_value("x", (64 << 20,))
    big = compile_program(Graph((x,), {"y": ops.exp(x)}), nearly_full)
    with pytest.raises(OutOfMemoryError, match=r"bytes more needed.*are free of.*smaller"):
        nearly_full.load(big)
    with pytest.raises(OutOfMemoryError, match="memory is full"):
        nearly_full.put(np.zeros(64 << 20, np.float32))
    assert free_bytes(nearly_full) == before
    weight = Variable(W, "w")
    step = loaded(nearly_full, weight)
    step.run(3)
    np.testing.assert_allclose(step.output("y"), X * (W + 2) + C, **TOLERANCE)


def test_an_impossible_amount_is_an_error_that_heals(gpu: CudaDevice) -> None:
    with gpu.driver:
        _, total = gpu.driver.memory_info()
        with pytest.raises(OutOfMemoryError):
            gpu.driver.allocate(total * 2)
    test_steps_follow_each_other(gpu)


# Threads.


def test_threads_train_as_if_alone(gpu: CudaDevice) -> None:
    expected = trained(gpu, 40)
    found: dict[int, list[np.ndarray]] = {}

    def work(number: int) -> None:
        for _ in range(3):
            found[number] = trained(gpu, 40, directly=number == 0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for each in found.values():
        assert_same_bits(each, expected)


# Other libraries.


class Lent:
    """An array as another library lends it, by one protocol alone."""

    def __init__(self, array: DeviceArray, **changes: Any) -> None:
        self.__cuda_array_interface__ = array.__cuda_array_interface__ | changes


class Packed:
    def __init__(self, array: DeviceArray) -> None:
        self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__


@pytest.mark.parametrize("lend", [Lent, Packed, lambda array: array])
def test_arrays_on_the_gpu_are_read_where_they_lie(device: CudaDevice, lend: Any) -> None:
    step = loaded(device)
    array = device.put(X * 2)
    step.bind("x", lend(array))
    step.run(3)
    np.testing.assert_allclose(step.output("y"), X * 2 * (W + 2) + C, **TOLERANCE)
    with device.driver:
        device.driver.upload(array.address, X * 3)  # nothing was copied
    step.run()
    np.testing.assert_allclose(step.output("y"), X * 3 * (W + 3) + C, **TOLERANCE)


def test_results_are_lent_where_they_lie(device: CudaDevice) -> None:
    step, other = loaded(device), loaded(device, Variable(np.zeros(N, np.float32), "z"))
    step.run()
    other.bind("x", Lent(step.output_on_device("y")))
    other.run()
    np.testing.assert_array_equal(other.output("y"), C)
    lent = step.output_on_device("y")
    np.testing.assert_array_equal(lent.numpy(), step.output("y"))


def test_variables_are_lent_where_they_lie(device: CudaDevice) -> None:
    weight = Variable(W, "w")
    step = loaded(device, weight)
    step.run(2)
    np.testing.assert_array_equal(device.view(weight).numpy(), weight.numpy())


def test_arrays_that_do_not_fit_are_refused(device: CudaDevice) -> None:
    step = loaded(device)
    array = device.put(np.arange(2 * N, dtype=np.float32))
    with pytest.raises(ShapeError, match=r"input 'x' cannot take.*\[262\].*f32\[131\]"):
        step.bind("x", array)
    with pytest.raises(ShapeError, match="not contiguous"):
        step.bind("x", Lent(array, shape=(N,), strides=(8,)))
    with pytest.raises(ShapeError, match="not aligned"):
        step.bind("x", Lent(array, shape=(N,), data=(array.address + 4, False)))
    with pytest.raises(ShapeError, match="input 'x' cannot take this, got list"):
        step.bind("x", [1.0] * N)


def test_the_host_s_memory_is_no_gpu_s(device: CudaDevice) -> None:
    step = loaded(device)
    interface = device.put(X).__cuda_array_interface__
    array = Lent(device.put(X), data=(X.ctypes.data // 16 * 16, False))
    assert array.__cuda_array_interface__["shape"] == interface["shape"]
    with pytest.raises(DeviceError, match=r"another device's memory, got the host's memory"):
        step.bind("x", array)


def test_a_capsule_is_taken_once(device: CudaDevice) -> None:
    capsule = device.put(X).__dlpack__()
    import_from(capsule)
    with pytest.raises(ArgumentError, match="no DLPack capsule, or one that was taken"):
        import_from(capsule)
    with pytest.raises(BufferError, match="not copied"):
        device.put(X).__dlpack__(copy=True)


def test_lent_memory_is_kept_and_then_freed(device: CudaDevice) -> None:
    before = free_bytes(device)
    # A GPU counts its memory in pages of 2 MiB.
    capsule = device.put(np.zeros(1 << 22, np.float32)).__dlpack__()
    assert free_bytes(device) < before
    del capsule
    assert free_bytes(device) == before


@pytest.fixture
def torch(gpu: CudaDevice) -> Any:
    module = pytest.importorskip("torch")
    if not module.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    return module


def test_pytorch_s_tensors_come_and_go_without_a_copy(gpu: CudaDevice, torch: Any) -> None:
    step = loaded(gpu)
    x = torch.from_numpy(X).cuda()
    step.bind("x", x)
    for i in range(20):
        x.add_(1)  # on PyTorch's stream, between our steps
        step.run()
        y = torch.from_dlpack(step.output_on_device("y"))
        expected = (X + i + 1) * (W + i) + C
        np.testing.assert_allclose((y + 0).cpu().numpy(), expected, rtol=1e-4, atol=1e-4)
    assert y.data_ptr() == step.output_on_device("y").address


def test_pytorch_s_own_stream_is_waited_for(gpu: CudaDevice, torch: Any) -> None:
    step = loaded(gpu)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        x = torch.zeros(N, device="cuda")
        big = torch.ones(4096, 4096, device="cuda")
        for _ in range(20):
            big = big @ big * 2.0**-12
        x += big[0, 0]
        step.bind("x", x)
    step.run()
    np.testing.assert_allclose(step.output("y"), W + C, **TOLERANCE)


def test_a_model_trains_on_pytorch_s_tensors(gpu: CudaDevice, torch: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((131, 3)).astype(np.float32), rng.integers(4, size=131)
    found = []
    for lend in (lambda array: torch.from_numpy(array).cuda(), lambda array: array):
        nb.set_seed(0)
        model = nb.Sequential([nb.Input((3,)), Dense(4)])
        loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(nb.optimizers.SGD(0.1), loss, device=gpu)
        model.fit(lend(x), lend(y), 32, epochs=3, verbose=0, seed=1, validation_split=0.2)
        found.append([*model.get_weights(), model.predict(lend(x))])
    assert_same_bits(*found)


def test_a_tensor_of_another_gpu_is_refused(gpu: CudaDevice, torch: Any) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("there is one GPU")
    with pytest.raises(DeviceError, match="another device's memory"):
        loaded(gpu).bind("x", torch.zeros(N, device="cuda:1"))


LOSE = f"""
from numbanet.errors import DeviceError
from {__name__} import cuda, failing, loaded

device = cuda("cuda")
for load in (lambda device: device.load(failing()), loaded):
    try:
        load(device).run()
    except DeviceError as error:
        print(error)
"""


@pytest.mark.gpu
def test_a_lost_gpu_says_so() -> None:
    """In a process of its own, for that has lost it then."""
    done = subprocess.run([sys.executable, "-c", LOSE], capture_output=True, text=True)
    assert not done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("net/bad: kernel out_of_bounds of out_of_bounds_op failed")
    assert "the GPU was lost" in first
    assert "Start the process again" in second
