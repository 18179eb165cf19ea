import numpy as np
import pytest

from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.ops.expression import Expression, Step
from numbanet.ops.matmul import MATMUL, MATMUL_UPDATE, MatmulAttrs
from tests.kernels.cpu.lowered import check, leaves

ORDERS = [(False, False), (False, True), (True, False), (True, True)]
PLAIN = MatmulAttrs()


def operands(rng, m, k, n, transpose_a=False, transpose_b=False, dtype="float32"):
    a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
    b = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
    return [a, b]


def product(arrays, attrs=PLAIN):
    return MATMUL.node(*leaves(arrays), attrs=attrs)


@pytest.mark.parametrize("transposes", ORDERS)
@pytest.mark.parametrize(
    "sizes",
    [
        (1, 1, 1),
        (14, 16, 32),
        (15, 33, 31),
        (32, 784, 128),
        (64, 128, 10),
        (37, 1, 18),
        (1, 70, 300),
        (29, 400, 65),
    ],
)
def test_products_of_all_orders(transposes, sizes):
    arrays = operands(np.random.default_rng(0), *sizes, *transposes)
    check(product(arrays, MatmulAttrs(*transposes)), arrays)


@pytest.mark.parametrize("transposes", ORDERS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (15, 33, 31), (29, 400, 30)])
def test_products_in_double_precision(transposes, sizes):
    arrays = operands(np.random.default_rng(0), *sizes, *transposes, "float64")
    check(product(arrays, MatmulAttrs(*transposes)), arrays)


@pytest.mark.parametrize("transposes", ORDERS)
def test_large_products_are_packed_and_summed_in_parts(transposes):
    rng = np.random.default_rng(1)
    arrays = operands(rng, 203, 801, 301, *transposes)
    check(product(arrays, MatmulAttrs(*transposes)), arrays)


@pytest.mark.parametrize(
    ("transposed", "sizes", "packing"),
    [
        (False, (17, 1024, 260), ["pack_transposing"]),
        (False, (170, 1024, 40), []),
        (False, (170, 1000, 60), []),
        (True, (1024, 70, 64), ["pack"]),
        (True, (1000, 70, 64), []),
    ],
)
def test_left_operands_are_packed_where_they_lie_badly(transposed, sizes, packing):
    arrays = operands(np.random.default_rng(2), *sizes, transposed)
    node = product(arrays, MatmulAttrs(transposed))
    names = [call.kernel.name for call in LOWERINGS["matmul"](node)]
    right = ["pack"] * (sizes[0] >= 640)
    assert names == [*packing, *right, "matmul"]
    check(node, arrays)


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [((1, 784, 128), 4), ((33, 401, 60), 2), ((5, 603, 31), 2), ((5, 130, 64), 1)],
)
def test_sums_of_few_rows_are_cut_into_parts(sizes, parts):
    arrays = [*operands(np.random.default_rng(10), *sizes), np.float32([0.5])]
    expression = epilogue(2, step("add", 0, 1), step("tanh", 2))
    node = product(arrays, MatmulAttrs(epilogue=expression))
    calls = LOWERINGS["matmul"](node)
    names = [call.kernel.name for call in calls]
    assert names == ["matmul", "add_partials"][: 1 + (parts > 1)]
    assert str(calls[-1].kernel.parameters).count("load(partials") == parts * (parts > 1)
    check(node, arrays)


def test_parts_of_sums_without_an_epilogue():
    arrays = operands(np.random.default_rng(11), 2, 1025, 33)
    node = product(arrays)
    assert [call.kernel.name for call in LOWERINGS["matmul"](node)][-1] == "add_partials"
    check(node, arrays)


@pytest.mark.parametrize("sizes", [(0, 4, 3), (4, 0, 3), (4, 3, 0), (0, 0, 0)])
def test_empty_products(sizes):
    arrays = operands(np.random.default_rng(3), *sizes)
    check(product(arrays), arrays)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize(
    ("leading_a", "leading_b"),
    [
        ((3,), ()),
        ((), (3,)),
        ((3,), (3,)),
        ((2, 1), (5,)),
        ((2, 3, 1, 2), (3, 4, 1)),
        ((2, 1, 3, 1, 2), (1, 4, 1, 2, 2)),
        ((0,), (1,)),
    ],
)
def test_leading_axes_broadcast(leading_a, leading_b, transpose_a, transpose_b):
    rng = np.random.default_rng(4)
    a, b = operands(rng, 9, 6, 5, transpose_a, transpose_b)
    arrays = [
        rng.standard_normal((*leading_a, *a.shape)).astype("float32"),
        rng.standard_normal((*leading_b, *b.shape)).astype("float32"),
    ]
    check(product(arrays, MatmulAttrs(transpose_a, transpose_b)), arrays)


def step(name, *args, dtype=DType.FLOAT32, attrs=NO_ATTRS):
    return Step(REGISTRY[name], attrs, args, dtype)


def epilogue(inputs, *steps):
    dtypes = (DType.FLOAT32,) * inputs
    return Expression(dtypes, steps, (inputs + len(steps) - 1,))


EXTRAS = {
    "number": (),
    "one": (1,),
    "vector": (33,),
    "tensor": (2, 30, 33),
}


@pytest.mark.parametrize("kind", EXTRAS)
@pytest.mark.parametrize("leading", [(2,), ()])
def test_epilogues_read_extra_inputs(kind, leading):
    rng = np.random.default_rng(5)
    a = rng.standard_normal((2, 30, 20)).astype("float32")
    b = rng.standard_normal((*leading, 20, 33)).astype("float32")
    extra = rng.standard_normal(EXTRAS[kind]).astype("float32")
    expression = epilogue(2, step("add", 0, 1), step("tanh", 2))
    check(product([a, b, extra], MatmulAttrs(epilogue=expression)), [a, b, extra])


def test_an_epilogue_of_many_inputs_after_a_sum_in_parts():
    rng = np.random.default_rng(6)
    arrays = operands(rng, 130, 500, 70)
    arrays += [rng.standard_normal(s).astype("float32") for s in ((70,), (130, 70), ())]
    expression = epilogue(4, step("add", 0, 1), step("multiply", 4, 2), step("maximum", 5, 3))
    check(product(arrays, MatmulAttrs(epilogue=expression)), arrays)


@pytest.mark.parametrize("transposes", [(True, False), (False, True)])
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (37, 70, 33), (130, 800, 300), (90, 3, 128), (5, 0, 4), (0, 2, 3)]
)
def test_updates_have_several_results_and_leave_the_product_nowhere(transposes, sizes):
    rng = np.random.default_rng(12)
    m, k, n = sizes
    arrays = operands(rng, m, k, n, *transposes)
    arrays += [rng.standard_normal(shape).astype("f") for shape in ((), (m, n), (m, n))]
    # v = 0.5 * v + g; w = w - r * v, as in an optimizer.
    steps = (step("multiply", 2, 1), step("add", 4, 0), step("multiply", 5, 1))
    expression = Expression(
        (DType.FLOAT32,) * 4, (*steps, step("subtract", 3, 6)), outputs=(5, 7)
    )
    attrs = MatmulAttrs(*transposes, expression)
    node = MATMUL_UPDATE.node(*leaves(arrays), attrs=attrs)
    *_, call = LOWERINGS["matmul_update"](node)
    assert call.in_place == ((3, 0), (3, 1), (4, 1))
    check(node, arrays)


def test_an_epilogue_may_change_the_dtype():
    rng = np.random.default_rng(7)
    arrays = [*operands(rng, 20, 6, 9), np.float32([0.5])]
    expression = epilogue(2, step("greater", 0, 1, dtype=DType.BOOL))
    check(product(arrays, MatmulAttrs(epilogue=expression)), arrays)


def test_an_epilogue_of_an_empty_sum():
    arrays = [
        np.zeros((3, 0), "float32"),
        np.zeros((0, 4), "float32"),
        np.arange(4.0, dtype="f"),
    ]
    expression = epilogue(2, step("add", 0, 1))
    check(product(arrays, MatmulAttrs(epilogue=expression)), arrays)


def test_nan_and_infinity_stay_where_they_belong():
    arrays = operands(np.random.default_rng(8), 17, 9, 35)
    arrays[0][3, 4] = np.nan
    arrays[1][2, 34] = np.inf
    check(product(arrays), arrays)


def test_every_call_says_what_it_costs():
    arrays = operands(np.random.default_rng(9), 64, 320, 200, transpose_b=True)
    pack, multiply = LOWERINGS["matmul"](product(arrays, MatmulAttrs(transpose_b=True)))
    assert pack.nbytes == 2 * 320 * 200 * 4
    assert multiply.flops == 2 * 64 * 320 * 200
    assert multiply.nbytes == 4 * (64 * 320 + 320 * 200 + 64 * 200)
    assert multiply.tiles > 1


def test_leading_axes_that_became_rows_are_packed_once():
    """Packing them once more for each matrix would read far beyond the operand."""
    a, b = leaves([np.empty((3, 20, 1024), np.float32), np.empty((1024, 512), np.float32)])
    calls = LOWERINGS["matmul"](MATMUL.node(a, b, attrs=PLAIN))
    (packing,) = (call for call in calls[:-1] if a in call.arguments)
    assert packing.nbytes == 2 * a.type.nbytes
