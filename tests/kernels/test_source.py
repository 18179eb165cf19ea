"""The text of generated kernels, and that Python itself computes the right numbers from it."""

import math
import traceback

import numpy as np
import pytest

from numbanet.ir import NO_ATTRS, DType, Op, TensorType
from numbanet.kernels.source import compile_source, literal, render
from numbanet.ops import scalar
from numbanet.ops.expression import Expression, Step, identity

F32, F64, I32, I64, U8, BOOL = (
    DType.FLOAT32,
    DType.FLOAT64,
    DType.INT32,
    DType.INT64,
    DType.UINT8,
    DType.BOOL,
)


def expression(rule, *dtypes, outputs=1):
    """An expression of one step: ``rule`` maps scalars to a scalar."""
    tree = rule(*(scalar.input_(i, dtype) for i, dtype in enumerate(dtypes)))
    op = Op(
        "rule",
        infer=lambda attrs, *types: TensorType((), tree.dtype),
        reference=lambda attrs, *arrays: None,
        scalar=lambda attrs, *scalars: rule(*scalars),
    )
    step = Step(op, NO_ATTRS, tuple(range(len(dtypes))), tree.dtype)
    return Expression(dtypes, (step,), (len(dtypes),) * outputs)


def lines(rule, *dtypes):
    statements, (result,) = render(
        expression(rule, *dtypes), [f"x{i}[i]" for i in range(len(dtypes))], "i"
    )
    return [*statements, result]


def test_swish_is_written_one_line_a_node_and_shared_nodes_once():
    assert lines(lambda x: x / (1.0 + scalar.exp(-x)) + x, F32) == [
        "t0 = x0[i]",
        "t1 = -t0",
        "t2 = exp_float32(t1)",
        "t3 = float32(1.0) + t2",
        "t4 = t0 / t3",
        "t5 = t4 + t0",
        "t5",
    ]


def test_equal_computations_are_written_once():
    assert lines(lambda x, y: scalar.tanh(x * y) + scalar.tanh(x * y), F64, F64) == [
        "t0 = x0[i]",
        "t1 = x1[i]",
        "t2 = t0 * t1",
        "t3 = tanh_float64(t2)",
        "t4 = t3 + t3",
        "t4",
    ]


def test_names_of_local_variables_are_used_as_they_are():
    statements, results = render(
        expression(lambda a, b: a + b, F32, F32), ["total", "b[j]"], "j"
    )
    assert (statements, results) == (["t0 = b[j]", "t1 = total + t0"], ("t1",))


def test_identity_is_one_load():
    assert render(identity(F32), ["x[i]"], "i") == (["t0 = x[i]"], ("t0",))


def test_one_slot_may_be_several_outputs():
    assert render(expression(lambda x: -x, F32, outputs=2), ["x[i]"], "i")[1] == ("t1", "t1")


@pytest.mark.parametrize(
    ("rule", "dtypes", "expected"),
    [
        (lambda x: scalar.maximum(x, 0.0), (F32,), "float32(0.0) if t0 < float32(0.0) else t0"),
        (lambda x: scalar.maximum(0.0, x), (F32,), "float32(0.0) if t0 < float32(0.0) else t0"),
        (lambda x, y: scalar.minimum(x, y), (F32, F32), "t1 if (t0 > t1) | (t1 != t1) else t0"),
        (lambda x, y: scalar.maximum(x, y), (I32, I32), "t1 if t0 < t1 else t0"),
        (lambda x, y: x + y, (I32, I32), "int32(t0 + t1)"),
        (lambda x, y: x + y, (I64, I64), "t0 + t1"),
        (lambda x: scalar.cast(x, U8), (F32,), "uint8(int32(t0))"),
        (lambda x: scalar.cast(x, BOOL), (F32,), "t0 != float32(0.0)"),
        (lambda x: scalar.cast(x, F32), (BOOL,), "float32(t0)"),
        (lambda c, x, y: scalar.where(c, x, y), (BOOL, F32, F32), "t1 if t0 else t2"),
        (lambda x: scalar.absolute(x), (F64,), "abs(t0)"),
        (lambda x, y: x <= y, (F64, F64), "t0 <= t1"),
        (lambda x, y: scalar.power(x, y), (F32, F32), "power_float32(t0, t1)"),
        (lambda x: scalar.power(x, 0.5), (F32,), "sqrt_float32(t0)"),
        (lambda x: scalar.power(x, 2.5), (F32,), "power_float32(t0, float32(2.5))"),
        (lambda x: scalar.floor(x), (F32,), "floor_float32(t0)"),
        (
            lambda s, t: scalar.uniform(s, t, 7, scalar.index(), F32),
            (I64, I64),
            "uniform_float32(t0, t1, int64(7), t2)",
        ),
    ],
)
def test_source_of_one_operation(rule, dtypes, expected):
    *statements, result = lines(rule, *dtypes)
    assert statements[-1] == f"{result} = {expected}"


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("power", [-3, -1, 0, 1, 2, 3, 4, 7, 10, 16])
def test_whole_powers_are_products(power, dtype):
    *statements, result = lines(lambda x: scalar.power(x, float(power)), dtype)
    assert not any("power" in line for line in statements)
    scope = {"x0": [1.5], "i": 0, "float32": float, "float64": float}
    exec("\n".join(statements), scope)
    assert eval(result, scope) == pytest.approx(1.5**power, rel=1e-14)


def test_booleans_are_read_as_truth():
    assert lines(lambda a, b: scalar.both(a, scalar.negate(b)), BOOL, BOOL) == [
        "t0 = x0[i] != 0",
        "t1 = x1[i] != 0",
        "t2 = not t1",
        "t3 = t0 & t2",
        "t3",
    ]


@pytest.mark.parametrize(
    ("number", "dtype", "expected"),
    [
        (0.5, F32, "float32(0.5)"),
        (2, F64, "float64(2.0)"),
        (3.0, I32, "int32(3)"),
        (math.inf, F32, "float32(inf)"),
        (-math.inf, F64, "float64(-inf)"),
        (math.nan, F32, "float32(nan)"),
        (1, BOOL, "True"),
    ],
)
def test_literals_have_the_type_of_their_tensor(number, dtype, expected):
    assert literal(number, dtype) == expected


@pytest.mark.parametrize(
    ("choose", "oracle"), [(scalar.maximum, np.maximum), (scalar.minimum, np.minimum)]
)
@pytest.mark.parametrize("constant", [None, 0.0, math.nan])
def test_maximum_and_minimum_give_nan_as_numpy_does(choose, oracle, constant):
    numbers = np.array([-np.inf, -1.0, 0.0, 2.0, np.inf, np.nan])

    def rule(x, y):
        return choose(x, y if constant is None else constant)

    statements, (result,) = render(expression(rule, F64, F64), ["a", "b"], "i")
    for a in numbers:
        for b in numbers:
            scope = {"a": a, "b": b, "float64": np.float64, "nan": math.nan}
            exec("\n".join(statements), scope)
            np.testing.assert_array_equal(
                scope[result], oracle(a, b if constant is None else constant)
            )


def test_long_chains_do_not_overflow_the_stack():
    def rule(x):
        for _ in range(3000):
            x = scalar.tanh(x)
        return x

    assert len(lines(rule, F32)) == 3002


@pytest.mark.parametrize(
    "rule", [lambda a, b: a / b, lambda a, b: scalar.power(a, b), lambda a, b: scalar.exp(a)]
)
def test_integers_are_refused_where_numbers_have_fractions(rule):
    with pytest.raises(TypeError, match="int32"):
        lines(rule, I32, I32)


def test_compiled_source_shows_in_tracebacks():
    function = compile_source("def f(x):\n    return x + nothing\n", "f", {})
    with pytest.raises(NameError) as caught:
        function(1)
    assert "return x + nothing" in "".join(traceback.format_tb(caught.value.__traceback__))


def test_compiled_source_sees_its_namespace_only():
    names = {"two": 2}
    function = compile_source("def f(x):\n    return x * two\n", "f", names)
    assert function(3) == 6
    assert names == {"two": 2}
