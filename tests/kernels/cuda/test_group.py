"""Several calls as one launch: each call's numbers are those that it computes alone."""

from typing import Any

import numpy as np
import pytest

from benchmarks.plans import Drawing, plan
from benchmarks.workloads import WORKLOADS
from numbanet import ops
from numbanet.ir import DType, Value
from numbanet.kernels.cuda import LOWERINGS
from numbanet.kernels.cuda.group import MOST_CALLS, grouped, make_group, write_group
from numbanet.kernels.cuda.simulate import launch
from tests.kernels.cuda.lowered import check_call, flat, normal, poison


def nodes():
    """Calls of many kinds: with barriers and without, one type of shared numbers and two, one
    number of threads and another."""
    x, w = ops.input_value("x", (9, 12)), ops.input_value("w", (12, 7))
    table = ops.input_value("table", (6, 5), DType.FLOAT64)
    values = (
        ops.matmul(x, w),
        ops.softmax(x),
        ops.argmax(x, 1),
        ops.sum(x, axes=(0,)),
        ops.tanh(x),
        ops.sum(table, axes=(0,)),
    )
    return [value.node for value in values]


def run(calls, arrays):
    memory: Any = dict(arrays)
    for call in calls:
        for argument in call.arguments:
            if isinstance(argument, Value):
                memory.setdefault(argument, poison(argument.type.size, argument.dtype))
        arguments = [memory.get(each, each) for each in call.arguments]
        for position, nbytes in call.offsets:
            arguments[position] = arguments[position][nbytes // arguments[position].itemsize :]
        launch(call.kernel, arguments, call.tiles)
    return memory


@pytest.mark.simulator
def test_each_call_of_a_group_computes_what_it_does_alone():
    made = nodes()
    firsts = [LOWERINGS[node.op.name](node)[0] for node in made]
    inputs = dict.fromkeys(value for node in made for value in node.inputs)
    arrays = {
        value: flat(normal(*value.type.sizes, seed=i).astype(value.dtype.numpy))
        for i, value in enumerate(inputs)
    }
    together = grouped(firsts)
    assert together is not None
    check_call(together)
    assert together.tiles == sum(call.tiles for call in firsts)
    found, expected = run([together], arrays), run(firsts, arrays)
    for call in firsts:
        for position in call.writes:
            written = call.arguments[position]
            assert not np.isnan(found[written]).all()
            np.testing.assert_array_equal(found[written], expected[written])


def test_groups_compile_clean(assert_clean):
    calls = [LOWERINGS[node.op.name](node)[0] for node in nodes()[:5]]
    together = grouped(calls)
    assert together is not None
    assert_clean(together.kernel)


def test_blocks_share_one_array_of_each_type():
    text = (
        "def kernel(x, n):\n    a = cuda.shared.array({}, float32)\n    a[tile_index()] = n\n"
    )
    found = write_group([text.format(64), text.format(256)], [64, 256])
    assert found.count("shared.array") == 1
    assert "shared.array(256, float32, ALIGNMENT)" in found


def test_what_is_large_or_many_is_not_grouped():
    x, w = ops.input_value("x", (4096, 4096)), ops.input_value("w", (4096, 4096))
    (large,) = LOWERINGS["matmul"](ops.matmul(x, w).node)
    (small,) = LOWERINGS["tanh"](ops.tanh(ops.input_value("y", (3,))).node)
    assert grouped([large, small]) is None
    assert grouped([small] * MOST_CALLS) is not None
    assert grouped([small] * (MOST_CALLS + 1)) is None


@pytest.mark.parametrize("workload", ["mlp-64", "cnn-64"])
def test_the_groups_of_small_models_compile_clean(assert_clean, workload):
    launches = plan(WORKLOADS[workload], Drawing("cuda")).launches
    groups = {each.kernel for each in launches if each.kernel.make is make_group}
    assert groups
    for kernel in sorted(groups, key=lambda kernel: kernel.key):
        assert_clean(kernel)
