"""Elementwise kernels and copies against the ops' references, and compiled for every target."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import DeviceError
from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.registry import LOWERINGS
from numbanet.kernels.cuda.simulate import launch
from numbanet.kernels.source import FUNCTIONS
from numbanet.ops.expression import Expression, Step, identity
from numbanet.ops.fused import FUSED, Access, FusedAttrs, broadcast, contiguous, is_fusable
from numbanet.ops.leaf import input_value
from tests.kernels.cuda.lowered import case_arrays, check_node, node_of, run_calls

F32 = DType.FLOAT32
FUSABLE = [op for op in REGISTRY.values() if is_fusable(op)]
MOVING = [REGISTRY["concatenate"], REGISTRY["pad"]]


def cases(operators):
    return [
        pytest.param(op, case, id=f"{op.name}-{i}")
        for op in operators
        for i, case in enumerate(op.cases)
    ]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


def step(name, *args):
    return Step(REGISTRY[name], NO_ATTRS, args, F32)


def fused(expression, shape, accesses, arrays):
    return node_of(FUSED, FusedAttrs(expression, shape, accesses), arrays)


def check_fused(expression, shape, accesses, arrays):
    check_node(FUSED, FusedAttrs(expression, shape, accesses), arrays)


PRODUCT_AND_SUM = Expression((F32, F32), (step("multiply", 0, 1), step("add", 0, 2)), (2, 3))
BROADCASTS = [
    ((7, 5), (7, 5)),
    ((7, 8), (8,)),  # rows of whole quads
    ((7, 5), (5,)),
    ((7, 5), (7, 1)),
    ((2, 3, 4, 5), (3, 1, 5)),
    ((2, 3, 4, 5), (2, 1, 4, 1)),
    ((1, 1), ()),
    ((33,), ()),
]
COPIES = [
    ((5, 7), Access(0, (1, 5))),
    ((4, 3, 5), Access(59, (-15, -5, -1))),
    ((3, 4), Access(1, (16, 2))),
    ((3, 8), Access(4, (12, 1))),
    ((3, 8), Access(4, (13, 1))),
    ((2, 3, 4, 5, 6), Access(0, (1, 2, 6, 24, 120))),
    ((6,), Access(5, (-1,))),
    ((9,), Access(3, (1,))),
    ((4, 4), Access(2, (0, 0))),
]


@pytest.mark.simulator
@pytest.mark.parametrize(("op", "case"), cases(FUSABLE))
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@pytest.mark.filterwarnings("ignore:invalid value")  # NumPy's, of the mean of nothing
def test_every_fusable_op_agrees_with_its_reference(op, case, dtype):
    check_node(op, case.attrs, case_arrays(case, dtype))


@pytest.mark.simulator
@pytest.mark.parametrize(("op", "case"), cases(MOVING))
def test_copies_into_parts(op, case):
    check_node(op, case.attrs, case_arrays(case, np.float32))


@pytest.mark.simulator
@pytest.mark.parametrize("shapes", BROADCASTS)
def test_several_outputs_and_broadcast_inputs(shapes):
    shape = shapes[0]
    arrays = [numbers(*each, seed=i) for i, each in enumerate(shapes)]
    accesses = tuple(broadcast(each, shape) for each in shapes)
    check_fused(PRODUCT_AND_SUM, shape, accesses, arrays)


@pytest.mark.simulator
@pytest.mark.parametrize(("shape", "access"), COPIES)
def test_strided_copies(shape, access):
    check_fused(identity(F32), shape, (access,), [numbers(720)])


@pytest.mark.simulator
def test_real_block_sizes(monkeypatch):
    monkeypatch.setattr(tuning, "TUNING", tuning.REAL)
    arrays = [numbers(1500), numbers(1500, seed=1)]
    check_fused(PRODUCT_AND_SUM, (1500,), (contiguous((1500,)),) * 2, arrays)


@pytest.mark.simulator
def test_unaligned_memory():
    """A gradient may lie anywhere in the flat buffer."""
    x, y = numbers(30), numbers(30, seed=1)
    node = REGISTRY["add"].node(input_value("x", (29,)), input_value("y", (29,)))
    (call,) = LOWERINGS["add"](node)
    out = np.full(29, np.nan, np.float32)
    launch(call.kernel, [x[1:], y[:29], out, *call.arguments[3:]], call.tiles)
    np.testing.assert_array_equal(out, x[1:] + y[:29])


@pytest.mark.simulator
def test_results_in_place_of_an_input():
    x, y = numbers(41), numbers(41, seed=1)
    node = node_of(REGISTRY["subtract"], NO_ATTRS, [x, y])
    (call,) = LOWERINGS["subtract"](node)
    assert call.in_place == ((0, 2), (1, 2))
    expected = x - y
    launch(call.kernel, [x, y, y, *call.arguments[3:]], call.tiles)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.simulator
def test_nan_infinity_and_overflow():
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 3e38, -3e38, 1e-45, 100], np.float32)
    for name in ("maximum", "minimum"):
        op = REGISTRY[name]
        for arrays in ([x, x[::-1].copy()], [x, np.zeros_like(x)]):
            node = node_of(op, NO_ATTRS, arrays)
            (result,) = run_calls(node, LOWERINGS[name](node), arrays)
            np.testing.assert_array_equal(result, op.reference(NO_ATTRS, *arrays))
    node = node_of(REGISTRY["exp"], NO_ATTRS, [x])
    (result,) = run_calls(node, LOWERINGS["exp"](node), [x])
    expected = [np.nan, np.inf, 0, 1, 1, np.inf, 0, 1, np.inf]
    np.testing.assert_array_equal(result, np.array(expected, np.float32))


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_integers_wrap_around(dtype):
    arrays = [np.array([250, np.iinfo(dtype).max, 7], dtype), np.array([9, 1, 2], dtype)]
    for name in ("add", "multiply", "subtract"):
        node = node_of(REGISTRY[name], NO_ATTRS, arrays)
        (result,) = run_calls(node, LOWERINGS[name](node), arrays)
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(result, REGISTRY[name].reference(NO_ATTRS, *arrays))


@pytest.mark.simulator
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_of_large_arguments(name):
    x = np.linspace(-3000, 3000, 101).astype(np.float32)
    node = node_of(REGISTRY[name], NO_ATTRS, [x])
    (result,) = run_calls(node, LOWERINGS[name](node), [x])
    np.testing.assert_allclose(result, getattr(np, name)(x.astype(np.float64)), atol=3e-7)


def test_an_empty_tensor_needs_no_call():
    x = input_value("x", (0, 3))
    assert LOWERINGS["negative"]((-x).node) == ()


def test_a_tensor_beyond_32_bits_is_refused():
    x = input_value("x", (2**16, 2**15))
    with pytest.raises(DeviceError, match="2,147,483,648"):
        LOWERINGS["negative"]((-x).node)


def test_another_size_needs_no_other_kernel():
    def kernel(rows, columns):
        x, bias = input_value("x", (rows, columns)), input_value("bias", (columns,))
        (call,) = LOWERINGS["add"]((x + bias).node)
        return call.kernel.key

    assert kernel(64, 100) == kernel(8, 4)
    assert kernel(64, 101) == kernel(7, 3)


def test_a_value_that_is_also_read_elsewhere_is_not_replaced():
    x = input_value("x", (4, 4))
    attrs = FusedAttrs(PRODUCT_AND_SUM, (4, 4), (contiguous((4, 4)), Access(0, (1, 4))))
    (call,) = LOWERINGS["fused"](FUSED.node(x, x, attrs=attrs))
    assert call.in_place == ()


def test_kernel_text_is_readable(golden):
    x, bias = input_value("x", (2, 3, 4)), input_value("bias", (3, 1))
    (call,) = LOWERINGS["add"]((x + bias).node)
    (text,) = call.kernel.parameters
    golden("cuda_fused_add", text)


def clean(assert_clean, node):
    for call in LOWERINGS[node.op.name](node):
        assert_clean(call.kernel)


def chain(names):
    """A program with one output for each function, each of the one before."""
    steps = tuple(step(name, i) for i, name in enumerate(names))
    return Expression((F32,), steps, tuple(range(1, len(steps) + 1)))


UNARY = [name for name in FUNCTIONS if name in REGISTRY]


@pytest.mark.parametrize("names", [UNARY[i : i + 4] for i in range(0, len(UNARY), 4)], ids=str)
def test_functions_compile_clean(assert_clean, names):
    for shape, access in (((4096,), Access(0, (1,))), ((64, 64), Access(0, (1, 64)))):
        clean(assert_clean, fused(chain(names), shape, (access,), [np.zeros(4096, np.float32)]))


@pytest.mark.parametrize("shapes", BROADCASTS[1:5])
def test_broadcasts_compile_clean(assert_clean, shapes):
    arrays = [np.zeros(shape, np.float32) for shape in shapes]
    accesses = tuple(broadcast(shape, shapes[0]) for shape in shapes)
    clean(assert_clean, fused(PRODUCT_AND_SUM, shapes[0], accesses, arrays))


def test_choices_and_casts_compile_clean(assert_clean):
    x, y = input_value("x", (30,)), input_value("y", (30,))
    clean(assert_clean, ops.less(x, y).node)
    clean(assert_clean, ops.where(ops.less(x, y), x, y).node)
    clean(assert_clean, ops.maximum(x, y).node)
    clean(assert_clean, (x**y).node)
    for dtype in ("int32", "int64", "uint8", "bool"):
        clean(assert_clean, ops.cast(x, DType.of(dtype)).node)
        clean(assert_clean, ops.cast(input_value("z", (30,), DType.of(dtype)), F32).node)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_divisions_compile_clean(assert_clean, dtype):
    x, y = (input_value(name, (30,), DType.of(dtype)) for name in ("x", "y"))
    clean(assert_clean, ops.remainder(x, y).node)
    clean(assert_clean, ops.floor_divide(x, y).node)


def test_dropout_compiles_clean(assert_clean):
    x = input_value("x", (64, 32))
    seed, step = (input_value(name, (), DType.INT64) for name in ("seed", "step"))
    attrs = REGISTRY["dropout"].cases[0].attrs
    clean(assert_clean, REGISTRY["dropout"].node(x, seed, step, attrs=attrs))


def test_quads_are_loaded_at_once():
    from numbanet.kernels.cuda.compile import compile_to_ptx

    x, bias = input_value("x", (8, 64)), input_value("bias", (64,))
    (call,) = LOWERINGS["add"]((x + bias).node)
    ptx = compile_to_ptx(call.kernel, (9, 0))
    assert ptx.count("ld.global.v4.f32") == 2
    assert ptx.count("st.global.v4.f32") == 1
