"""Every heavy kernel, as it is on real GPUs, compiles clean for every target."""

import math

import pytest

from numbanet import ops
from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cuda import LOWERINGS, convolution, matmul
from numbanet.kernels.cuda.tiling import Plan, tilings
from numbanet.ops.convolution import Conv2dAttrs, Conv2dTransposeAttrs, Conv2dWeightGradAttrs
from numbanet.ops.indexing import ArgmaxAttrs, GatherBatchAttrs, ScatterAddAttrs
from numbanet.ops.matmul import MatmulAttrs
from numbanet.ops.pooling import AvgPoolAttrs, AvgPoolGradAttrs, PoolAttrs
from tests.kernels.cuda.test_matmul import relu_of_sums

F32, F64, I64 = DType.FLOAT32, DType.FLOAT64, DType.INT64
REAL_TILINGS = [
    (dtype, number) for dtype in (F32, F64) for number in range(len(tilings(dtype)))
]


def calls(op, attrs, *inputs):
    """Calls of an op on inputs of the given ``(shape, dtype)``; just a shape is float32."""
    values = []
    for i, each in enumerate(inputs):
        shape, dtype = each if each and isinstance(each[-1], DType) else (each, F32)
        values.append(ops.input_value(f"x{i}", shape, dtype))
    return LOWERINGS[op](REGISTRY[op].node(*values, attrs=attrs))


@pytest.fixture
def use(monkeypatch):
    """``use(tiling, splits)``: products are cut that way, whatever their sizes."""

    def take(tiling, splits=1):
        def choose(rows, columns, terms, count, dtype):
            stages = math.ceil(terms / tiling.depth / splits)
            return Plan(tiling, splits, stages * tiling.depth)

        monkeypatch.setattr(matmul, "choose", choose)
        monkeypatch.setattr(convolution, "choose", choose)

    return take


@pytest.mark.parametrize(("dtype", "number"), REAL_TILINGS)
def test_every_tiling(assert_clean, use, dtype, number):
    """Operands are loaded in quads; A from along its sums, B from across."""
    use(tilings(dtype)[number])
    (call,) = calls("matmul", MatmulAttrs(), ((96, 48), dtype), ((48, 64), dtype))
    assert_clean(call.kernel)


def test_single_numbers_of_transposed_matrices(assert_clean, use):
    use(tilings(F32)[0])
    (call,) = calls("matmul", MatmulAttrs(True, True), (35, 33), (37, 35))
    assert_clean(call.kernel)


def test_many_matrices_with_epilogue(assert_clean):
    attrs = MatmulAttrs(False, True, relu_of_sums(3))
    product = calls("matmul", attrs, (6, 1, 65, 33), (1, 5, 66, 33), (), (66,), (6, 5, 65, 66))
    (call,) = product
    assert_clean(call.kernel)


@pytest.mark.parametrize("splits", [2, 40])
def test_partial_sums(assert_clean, use, splits):
    use(tilings(F32)[4], splits)
    attrs = MatmulAttrs(epilogue=relu_of_sums(2))
    _, add = calls("matmul", attrs, (64, 4096), (4096, 16), (16,), (64, 16))
    assert_clean(add.kernel)


CONVOLUTIONS = {
    "quads, padded": ((64, 32, 32, 64), (64, 3, 3, 64), Conv2dAttrs(padding=((1, 1), (1, 1)))),
    "strides": (
        (64, 32, 32, 64),
        (128, 3, 3, 64),
        Conv2dAttrs((2, 2), ((1, 1), (1, 1))),
    ),
    "groups": ((8, 16, 16, 8), (8, 3, 3, 1), Conv2dAttrs(groups=8, dilation=(2, 2))),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(assert_clean, name):
    x, w, attrs = CONVOLUTIONS[name]
    images, weights = ops.input_value("x", x, F32), ops.input_value("w", w, F32)
    y = REGISTRY["conv2d"](images, weights, attrs=attrs).type.sizes
    to_images = Conv2dTransposeAttrs(*attrs.geometry, (x[1], x[2]))
    to_weights = Conv2dWeightGradAttrs(*attrs.geometry, (w[1], w[2]))
    for op, op_attrs, shapes in (
        ("conv2d", attrs, (x, w)),
        ("conv2d_transpose", to_images, (y, w)),
        ("conv2d_weight_grad", to_weights, (x, y)),
    ):
        assert_clean(calls(op, op_attrs, *shapes)[0].kernel)


X, Y = (64, 13, 13, 16), (64, 7, 7, 16)
POOL = ((3, 3), (2, 2), ((1, 1), (1, 1)))
OTHERS = {
    "max_pool2d": (PoolAttrs(*POOL), X),
    "max_pool2d_grad": (PoolAttrs(*POOL), X, Y, Y),
    "avg_pool2d": (AvgPoolAttrs(*POOL), X),
    "avg_pool2d_grad": (AvgPoolGradAttrs(*POOL, size=X[1:3]), Y),
    "softmax": (NO_ATTRS, (64, 1000)),
    "log_softmax": (NO_ATTRS, (64, 10)),
    "cross_entropy": (NO_ATTRS, (64, 10), ((64,), I64)),
    "argmax": (ArgmaxAttrs(1), (64, 1000)),
    "take": (NO_ATTRS, (1000, 64), ((8, 32), I64)),
    "scatter_add": (ScatterAddAttrs(1000), (8, 32, 64), ((8, 32), I64)),
    "gather_batch": (
        GatherBatchAttrs(64),
        ((60000, 784), DType.UINT8),
        ((60000,), I64),
        ((), I64),
    ),
}


@pytest.mark.parametrize("op", OTHERS)
def test_other_kernels(assert_clean, op):
    attrs, *inputs = OTHERS[op]
    (call,) = calls(op, attrs, *inputs)
    assert_clean(call.kernel)
