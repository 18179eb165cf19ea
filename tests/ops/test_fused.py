"""The fused form of every node that has one computes what the node does."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.ir import REGISTRY, DType
from numbanet.ops.fused import FUSED, Access, fused_form
from numbanet.ops.leaf import input_value

CASES = [
    pytest.param(op, case, id=f"{op.name}-{i}")
    for op in REGISTRY.values()
    for i, case in enumerate(op.cases)
]
REDUCTIONS_AND_MOVES = {"sum", "mean", "max", "min", "transpose", "expand", "slice"}


def record(op, case):
    inputs = [input_value(f"x{i}", arg.shape, arg.dtype) for i, arg in enumerate(case.args)]
    return op.node(*inputs, attrs=case.attrs)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize(("op", "case"), CASES)
def test_fused_form_has_the_nodes_type_and_numbers(op, case):
    node = record(op, case)
    form = fused_form(node)
    has_one = op.is_elementwise or op.name in REDUCTIONS_AND_MOVES
    assert (form is not None) == has_one
    if form is None or op.name == "uniform":
        return
    attrs, inputs = form
    fused = FUSED.node(*inputs, attrs=attrs)
    assert [value.type for value in fused.outputs] == [value.type for value in node.outputs]
    rng = np.random.default_rng(0)
    arrays = {
        value: rng.uniform(arg.low, arg.high, arg.shape).astype(arg.dtype.numpy)
        for value, arg in zip(node.inputs, case.args, strict=True)
    }
    with np.errstate(all="ignore"):
        want = op.reference(node.attrs, *(arrays[value] for value in node.inputs))
        got = FUSED.reference(attrs, *(arrays[value] for value in inputs))
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_value_read_twice_is_one_input():
    x = input_value("x", (3, 5))
    attrs, inputs = fused_form((x * x).node)
    assert inputs == (x,)
    assert str(attrs.expression) == "{%1=multiply(%0, %0); %1}"


def test_single_constants_become_part_of_the_program():
    x = input_value("x", (3, 5))
    attrs, inputs = fused_form(ops.power(x, 2.0).node)
    assert inputs == (x,)
    numbers = np.array([[1.0, -3.0]], dtype=np.float32)
    assert attrs.accesses == (Access(0, (5, 1)),)
    np.testing.assert_array_equal(attrs.expression.reference((numbers,))[0], [[1, 9]])


def test_constant_arrays_stay_inputs():
    x = input_value("x", (3, 2))
    _, inputs = fused_form((x + ops.constant([1.0, 2.0], DType.FLOAT32)).node)
    assert len(inputs) == 2


def test_a_fused_node_is_its_own_form():
    x = input_value("x", (4,))
    attrs, inputs = fused_form((-x).node)
    node = FUSED.node(*inputs, attrs=attrs)
    assert fused_form(node) == (attrs, inputs)
