import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import DTypeError, GraphError, ShapeError
from numbanet.ir import DType, topological
from numbanet.ops.arithmetic import ADD, MULTIPLY
from numbanet.ops.expression import Expression, Step
from numbanet.ops.matmul import MATMUL, MatmulAttrs
from numbanet.testing import check_gradients, evaluate, inputs_like


def numbers(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


@pytest.mark.parametrize(
    ("a", "b"),
    [((5,), (5,)), ((5,), (5, 3)), ((4, 5), (5,)), ((2, 4, 5), (5,)), ((5,), (2, 5, 3))],
)
def test_vectors_multiply_as_in_numpy(a, b):
    x, y = numbers(*a), numbers(*b) + 1
    np.testing.assert_allclose(compute(ops.matmul, x, y), np.matmul(x, y), rtol=1e-12)
    check_gradients(ops.matmul, x, y)


def test_the_operator_records_a_matmul():
    a, b = inputs_like((numbers(2, 3), numbers(3, 4)))
    assert (a @ b).node.op is MATMUL


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_transposed_operands_are_read_transposed(transpose_a, transpose_b):
    a, b = numbers(2, 3, 4), numbers(2, 4, 5)
    product = compute(
        lambda x, y: ops.matmul(x, y, transpose_a=transpose_a, transpose_b=transpose_b),
        a.swapaxes(1, 2) if transpose_a else a,
        b.swapaxes(1, 2) if transpose_b else b,
    )
    np.testing.assert_allclose(product, np.einsum("nik,nkj->nij", a, b), rtol=1e-12)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_gradients_have_gradients(transpose_a, transpose_b):
    def gradients(a, b, seed):
        y = ops.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
        return differentiate([y], [a, b], [seed])

    a = numbers(4, 3) if transpose_a else numbers(3, 4)
    b = numbers(2, 4) if transpose_b else numbers(4, 2)
    check_gradients(gradients, a, b, numbers(3, 2))


def test_the_batch_size_may_be_unknown():
    x = ops.input_value("x", (None, 7, 5))
    w = ops.input_value("w", (5, 3))
    assert (x @ w).shape == (None, 7, 3)
    assert (ops.input_value("x", (None, 5)) @ w).shape == (None, 3)


def test_weights_shared_by_a_batch_take_one_product_as_gradient():
    x, w = inputs_like((numbers(6, 7, 5), numbers(5, 3)))
    (gradient,) = differentiate([x @ w], [w])
    products = [n for n in topological([gradient]) if n.op is MATMUL]
    assert [n.output.shape for n in products] == [(5, 3)]


def test_an_epilogue_is_applied_to_each_element():
    scale_and_shift = Expression(
        (DType.FLOAT64,) * 3,
        (
            Step(MULTIPLY, MULTIPLY.cases[0].attrs, (0, 1), DType.FLOAT64),
            Step(ADD, ADD.cases[0].attrs, (3, 2), DType.FLOAT64),
        ),
        (4,),
    )
    a, b, bias, scale = numbers(3, 4), numbers(4, 5), numbers(5), np.array(0.5)

    def fused(*inputs):
        return MATMUL(*inputs, attrs=MatmulAttrs(epilogue=scale_and_shift))

    np.testing.assert_allclose(compute(fused, a, b, scale, bias), a @ b * 0.5 + bias)
    inputs = inputs_like((a, b, scale, bias))
    with pytest.raises(GraphError, match="before the passes"):
        differentiate([fused(*inputs)], [inputs[0]])
    with pytest.raises(ShapeError, match="extra inputs"):
        fused(*inputs[:3])
    with pytest.raises(ShapeError, match="epilogue of matmul"):
        fused(*inputs_like((a, b, scale, numbers(3))))


@pytest.mark.parametrize(
    ("a", "b", "match"),
    [
        ((2, 3), (4, 5), "inner sizes that are equal, not 3 and 4"),
        ((2, 3, 4), (3, 4, 5), "broadcast"),
        ((), (3, 4), "two axes"),
    ],
)
def test_shapes_that_do_not_meet(a, b, match):
    x, y = inputs_like((np.zeros(a), np.zeros(b)))
    with pytest.raises(ShapeError, match=match):
        ops.matmul(x, y)


def test_integers_are_refused():
    x, y = inputs_like((np.zeros((2, 3), np.int64), np.zeros((3, 2), np.int64)))
    with pytest.raises(DTypeError, match="matmul"):
        ops.matmul(x, y)


def test_flops_are_two_for_each_product():
    x, y = inputs_like((np.zeros((7, 3, 4)), np.zeros((4, 5))))
    assert MATMUL.flops((x @ y).node) == 2 * 7 * 3 * 4 * 5
