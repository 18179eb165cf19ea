"""Kernels that add up slices as they read them, on the simulator and for real GPUs."""

from typing import Any

import numpy as np
import pytest

from benchmarks.plans import Drawing, plan
from benchmarks.workloads import WORKLOADS
from numbanet import ops
from numbanet.ir import DType, Graph, Value
from numbanet.kernels.cuda import LOWERINGS
from numbanet.kernels.cuda.partial import add_up, scratch_for
from numbanet.kernels.cuda.simulate import launch
from numbanet.kernels.cuda.sums import sharing
from numbanet.kernels.kernel import Call, Part, Scratch, Slices, Table
from numbanet.passes.fuse import fuse
from tests.kernels.cuda.lowered import check_call, flat, normal, poison

COUNTS = (2, 3, 4, 5, 7, 8, 9, 21)
"""On the simulator one, two or four threads share an element's slices."""


def run(call: Call, memory: dict[Any, Any]) -> dict[Any, Any]:
    """``memory`` after ``call``, by argument; what is not there is poison."""
    for argument, name in zip(call.arguments, call.kernel.signature, strict=True):
        if isinstance(argument, Table):
            memory[argument] = argument.array.reshape(-1)
        elif name.endswith("*") and argument not in memory:
            dtype = DType.of(name.removesuffix("*"))
            assert isinstance(argument, Scratch | Value)
            nbytes = argument.nbytes if isinstance(argument, Scratch) else argument.type.nbytes
            memory[argument] = poison(nbytes // dtype.itemsize, dtype)
    launch(call.kernel, [memory.get(each, each) for each in call.arguments], call.tiles)
    return memory


def taking(call: Call, value: Value, parts: list[Part]) -> Call | None:
    """The call that adds up ``parts`` of ``value`` as it reads them."""
    assert call.adding is not None
    return call.adding(call.arguments.index(value), parts)


def in_slices(value: Value, count: int, seed: int = 0) -> tuple[Slices, np.ndarray]:
    """Slices of random numbers for ``value``, NaN between them, and the numbers."""
    size = value.type.size
    memory = scratch_for(size, count, value.dtype)
    numbers = poison(memory.nbytes // value.dtype.itemsize, value.dtype).reshape(count, -1)
    numbers[:, :size] = normal(count, size, seed=seed)
    add = add_up(memory, value, value.dtype)
    return Slices((), memory, count, numbers.shape[1], add), numbers.reshape(-1)


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize("shape", [(1,), (3,), (4,), (5, 7), (4, 9), (70,)])
def test_adds_up_all_slices(shape, dtype):
    value = ops.input_value("x", shape, dtype)
    for count in COUNTS:
        slices, numbers = in_slices(value, count)
        check_call(slices.add)
        found = run(slices.add, {slices.memory: numbers})[value]
        expected = numbers.reshape(count, -1)[:, : value.type.size].astype(np.float64).sum(0)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def step(flat_gradient):
    """What an optimizer does: two results from three flat operands and a number."""
    size = flat_gradient.type.sizes
    dtype = flat_gradient.dtype
    parameter, velocity = (ops.input_value(name, size, dtype) for name in ("p", "v"))
    rate = ops.input_value("rate", (1,), dtype)
    moved = ops.multiply(velocity, 0.5) + flat_gradient
    inputs = (flat_gradient, parameter, velocity, rate)
    graph = fuse(Graph(inputs, {"p": parameter - rate * moved, "v": moved}))
    return graph.outputs["p"].node


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize("offsets", [(0, 16, 48), (4, 20, 64), (1, 18, 49)])
def test_adding_while_reading_gives_the_bits_of_adding_before(offsets, dtype):
    """Parts with slices of their own, gaps between them, and memory that holds the rest."""
    size, sizes, counts = 101, (10, 27, 33), (2, 9, 21)
    gradient = ops.input_value("g", (size,), dtype)
    node = step(gradient)
    (call,) = LOWERINGS[node.op.name](node)
    memory: dict[Any, Any] = {
        each: flat(normal(each.type.size, seed=i).astype(dtype.numpy))
        for i, each in enumerate(node.inputs)
    }
    whole = memory[gradient].copy()
    parts, together = [], dict(memory)
    for i, (first, length, count) in enumerate(zip(offsets, sizes, counts, strict=True)):
        value = ops.input_value(f"part{i}", (length,), dtype)
        slices, numbers = in_slices(value, count, seed=10 + i)
        zeros = (*offsets, first + length + 2)[i + 1] - first - length
        parts.append(Part(first, length, zeros, slices))
        together[slices.memory] = numbers
        whole[first : first + length] = run(slices.add, {slices.memory: numbers})[value]
        whole[first + length : first + length + zeros] = 0
        memory[gradient][first : first + length + zeros] = np.nan  # not to be read
    adding = taking(call, gradient, parts)
    assert adding is not None
    found = run(adding, together | {gradient: memory[gradient]})
    expected = run(call, memory | {gradient: whole})
    for value in node.outputs:
        np.testing.assert_array_equal(found[value], expected[value])


@pytest.mark.simulator
def test_adds_up_into_tensors_of_several_axes():
    """A vector is read beside it: positions on the last axis count on."""
    x, b = ops.input_value("x", (5, 6)), ops.input_value("b", (6,))
    node = fuse(Graph((x, b), {"y": ops.relu(x + b)})).outputs["y"].node
    (call,) = LOWERINGS[node.op.name](node)
    slices, numbers = in_slices(x, 3)
    adding = taking(call, x, [Part(0, 30, 0, slices)])
    assert adding is not None
    bias = normal(6, seed=5)
    found = run(adding, {slices.memory: numbers, b: bias})[node.output]
    total = run(slices.add, {slices.memory: numbers})[x].reshape(5, 6)
    np.testing.assert_array_equal(found.reshape(5, 6), np.maximum(total + bias, 0))


def test_operands_that_are_not_read_in_their_order_are_not_taken():
    x = ops.input_value("x", (5, 6))
    node = fuse(Graph((x,), {"y": ops.exp(ops.transpose(x, (1, 0)))})).outputs["y"].node
    (call,) = LOWERINGS[node.op.name](node)
    slices, _ = in_slices(x, 2)
    assert taking(call, x, [Part(0, 30, 0, slices)]) is None


def test_states_its_work():
    gradient = ops.input_value("g", (100,))
    (call,) = LOWERINGS["fused"](step(gradient))
    slices, _ = in_slices(ops.input_value("part", (60,)), 5)
    adding = taking(call, gradient, [Part(0, 60, 0, slices)])
    assert adding is not None
    assert adding.nbytes == call.nbytes + 4 * 60 * 4
    assert adding.flops == call.flops + 4 * 60
    assert adding.writes == call.writes


def test_more_threads_share_more_slices():
    assert [sharing(count) for count in (1, 1000)] == sorted({sharing(c) for c in (1, 1000)})


@pytest.mark.parametrize("count", [2, 40, 300])
def test_sums_compile_clean(assert_clean, count):
    for dtype in (DType.FLOAT32, DType.FLOAT64):
        slices, _ = in_slices(ops.input_value("x", (300,), dtype), count)
        assert_clean(slices.add.kernel)


@pytest.mark.parametrize("workload", ["mlp-1024", "resnet20-128"])
def test_optimizers_that_add_up_compile_clean(assert_clean, workload):
    launches = plan(WORKLOADS[workload], Drawing("cuda")).launches
    found = [each for each in launches if "_of_sums" in each.kernel.name]
    assert found
    for each in found:
        assert_clean(each.kernel)
