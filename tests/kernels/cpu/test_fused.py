"""Fused kernels against the ops' references: every op with a fused form, every access."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cpu.compile import run_kernel
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.ops.expression import Expression, Step, identity
from numbanet.ops.fused import FUSED, Access, FusedAttrs, broadcast, contiguous, is_fusable
from numbanet.ops.leaf import input_value
from tests.kernels.cpu.lowered import check, compute, leaves

F32, F64 = np.float32, np.float64
CASES = [
    pytest.param(op, case, dtype, id=f"{op.name}-{i}-{dtype.__name__}")
    for op in REGISTRY.values()
    if is_fusable(op)
    for i, case in enumerate(op.cases)
    for dtype in ((F32, F64) if i == 0 else (F32,))  # compiling takes its time
]


def draw(arg, dtype, rng):
    wide = arg.dtype.numpy
    return rng.uniform(arg.low, arg.high, arg.shape).astype(dtype if wide == F64 else wide)


def numbers(*shape, dtype=F32, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(dtype)


@pytest.mark.parametrize(("op", "case", "dtype"), CASES)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_every_fusable_op_agrees_with_its_reference(op, case, dtype):
    rng = np.random.default_rng(len(op.name))
    arrays = [draw(arg, dtype, rng) for arg in case.args]
    node = op.node(*leaves(arrays), attrs=case.attrs)
    check(node, arrays)


def fused(expression, shape, accesses, arrays):
    attrs = FusedAttrs(expression, shape, accesses)
    return FUSED.node(*leaves(arrays), attrs=attrs)


def step(op, args, dtype=DType.FLOAT32, attrs=NO_ATTRS):
    return Step(op, attrs, args, dtype)


PRODUCT_AND_SUM = Expression(
    (DType.FLOAT32, DType.FLOAT32),
    (step(REGISTRY["multiply"], (0, 1)), step(REGISTRY["add"], (0, 2))),
    (2, 3),
)


@pytest.mark.parametrize(
    "shapes",
    [
        ((7, 5), (7, 5)),
        ((7, 5), (5,)),
        ((7, 5), (7, 1)),
        ((2, 3, 4, 5), (3, 1, 5)),
        ((2, 3, 4, 5), (2, 1, 4, 1)),
        ((3, 20_000), (20_000,)),
        ((20_000, 3), (3,)),
        ((1, 1), ()),
    ],
)
def test_several_outputs_and_broadcast_inputs(shapes):
    shape = shapes[0]
    arrays = [numbers(*each, seed=i) for i, each in enumerate(shapes)]
    accesses = tuple(broadcast(each, shape) for each in shapes)
    check(fused(PRODUCT_AND_SUM, shape, accesses, arrays), arrays)


@pytest.mark.parametrize(
    ("shape", "access"),
    [
        ((5, 7), Access(0, (1, 5))),
        ((70, 33), Access(3, (1, 75))),
        ((4, 3, 5), Access(59, (-15, -5, -1))),
        ((3, 4), Access(1, (16, 2))),
        ((2, 3, 4, 5, 6), Access(0, (1, 2, 6, 24, 120))),
        ((6,), Access(5, (-1,))),
        ((4, 4), Access(2, (0, 0))),
    ],
)
def test_strided_copies(shape, access):
    arrays = [numbers(5_250 if shape == (70, 33) else 720)]
    node = fused(identity(DType.FLOAT32), shape, (access,), arrays)
    (result,) = compute(node, arrays)
    positions = access.offset + sum(
        np.arange(size).reshape([-1 if a == axis else 1 for a in range(len(shape))]) * stride
        for axis, (size, stride) in enumerate(zip(shape, access.strides, strict=True))
    )
    np.testing.assert_array_equal(result, arrays[0][np.broadcast_to(positions, shape)])


def test_an_empty_tensor_needs_no_call():
    (x,) = leaves([np.empty((0, 3), F32)])
    assert LOWERINGS["negative"]((-x).node) == ()


def test_booleans_are_bytes_of_zero_and_one():
    arrays = [numbers(1000), numbers(1000, seed=1)]
    (result,) = compute(ops.less(*leaves(arrays)).node, arrays)
    np.testing.assert_array_equal(result, arrays[0] < arrays[1])
    chosen = ops.where(*leaves([result, *arrays])).node
    np.testing.assert_array_equal(compute(chosen, [result, *arrays])[0], np.minimum(*arrays))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_integers_wrap_around(dtype):
    arrays = [np.array([250, np.iinfo(dtype).max, 7], dtype), np.array([9, 1, 2], dtype)]
    a, b = leaves(arrays)
    np.testing.assert_array_equal(compute((a + b).node, arrays)[0], arrays[0] + arrays[1])


def test_another_size_needs_no_other_kernel():
    def kernel(rows, columns):
        x = input_value("x", (rows, columns))
        bias = input_value("bias", (columns,))
        (call,) = LOWERINGS["add"]((x + bias).node)
        return call.kernel.key

    assert kernel(64, 100) == kernel(7, 3) == kernel(2, 100_000)


def pairs(node):
    (call,) = LOWERINGS[node.op.name](node)
    return call.in_place


def test_outputs_may_replace_inputs_of_their_own_shape():
    x, y, bias = (input_value("x", (4, 3)), input_value("y", (4, 3)), input_value("b", (3,)))
    assert pairs((x + y).node) == ((0, 2), (1, 2))
    assert pairs((x + bias).node) == ((0, 2),)
    assert pairs((x < y).node) == ()
    assert pairs(ops.transpose(x).node) == ()


def test_outputs_may_replace_only_what_they_depend_on():
    """The load must come before the store, and only a dependence makes sure of that."""
    shape = (5, 3)
    arrays = [numbers(*shape), numbers(*shape)]
    expression = Expression(
        (DType.FLOAT32, DType.FLOAT32),
        (step(REGISTRY["negative"], (0,)), step(REGISTRY["add"], (0, 1))),
        (2, 3),
    )
    node = fused(expression, shape, (contiguous(shape),) * 2, arrays)
    assert pairs(node) == ((0, 2), (0, 3), (1, 3))


def test_a_value_that_is_also_read_elsewhere_is_not_replaced():
    shape = (4, 4)
    x = input_value("x", shape)
    attrs = FusedAttrs(PRODUCT_AND_SUM, shape, (contiguous(shape), Access(0, (1, 4))))
    assert pairs(FUSED.node(x, x, attrs=attrs)) == ()


def test_written_in_place_results_are_the_same():
    x, y = numbers(10_001), numbers(10_001, seed=1)
    a, b = leaves([x, y])
    (call,) = LOWERINGS["multiply"]((a * b).node)
    expected = x * y
    run_kernel(call.kernel, [x, y, x, *call.arguments[3:]], call.tiles)
    np.testing.assert_array_equal(x, expected)


def test_kernel_text_is_readable(golden):
    x, bias = input_value("x", (2, 3, 4)), input_value("bias", (3, 1))
    (call,) = LOWERINGS["add"]((x + bias).node)
    text, _ = call.kernel.parameters
    golden("cpu_fused_add", text)
