"""Every op in the registry, each of its cases: whatever can be asked of all of them."""

import dataclasses

import numpy as np
import pytest

from numbanet import ops
from numbanet.ir import REGISTRY, DType
from numbanet.testing import check_gradients, evaluate, inputs_like, sample

CASES = [
    pytest.param(op, case, id=f"{name}-{i}")
    for name, op in sorted(REGISTRY.items())
    for i, case in enumerate(op.cases)
]
BLOCKED = {"stop_gradient"}
"""Ops whose gradient is not the slope, by intention."""


def arrays_for(case, dtype=None):
    rng = np.random.default_rng(7)
    args = case.args
    if dtype is not None:
        args = [
            dataclasses.replace(arg, dtype=dtype) if arg.dtype.is_floating else arg
            for arg in args
        ]
    return [sample(arg, rng) for arg in args]


def outputs_of(op, case, inputs):
    return op.node(*inputs, attrs=case.attrs).outputs


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_has_cases(name):
    assert REGISTRY[name].cases


@pytest.mark.parametrize(("op", "case"), CASES)
@pytest.mark.parametrize("dtype", [DType.FLOAT64, DType.FLOAT32], ids=str)
def test_reference_has_the_inferred_type(op, case, dtype):
    arrays = arrays_for(case, dtype)
    inputs = inputs_like(arrays)
    outputs = outputs_of(op, case, inputs)
    results = evaluate(outputs, dict(zip(inputs, arrays, strict=True)))
    for output, result in zip(outputs, results, strict=True):
        assert result.shape == output.shape
        assert result.dtype == output.dtype.numpy


@pytest.mark.parametrize(("op", "case"), CASES)
def test_inputs_are_left_alone(op, case):
    arrays = arrays_for(case)
    before = [array.copy() for array in arrays]
    inputs = inputs_like(arrays)
    evaluate(outputs_of(op, case, inputs), dict(zip(inputs, arrays, strict=True)))
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("op", "case"),
    [p for p in CASES if p.values[0].gradient and p.values[0].name not in BLOCKED],
)
def test_gradient_of_first_output_is_its_slope(op, case):
    def first_output(*inputs):
        return outputs_of(op, case, inputs)[0]

    check_gradients(first_output, *arrays_for(case))


@pytest.mark.parametrize(("op", "case"), [p for p in CASES if p.values[0].decompose])
def test_decomposition_agrees_with_reference(op, case):
    arrays = arrays_for(case)
    inputs = inputs_like(arrays)
    node = op.node(*inputs, attrs=case.attrs)
    parts = op.decompose(node)
    assert [part.type for part in parts] == [output.type for output in node.outputs]
    feeds = dict(zip(inputs, arrays, strict=True))
    for got, expected in zip(
        evaluate(parts, feeds), evaluate(node.outputs, feeds), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("op", "case"), CASES)
def test_flops_are_counted(op, case):
    assert op.flops(op.node(*inputs_like(arrays_for(case)), attrs=case.attrs)) >= 0


def test_stop_gradient_stops_it():
    from numbanet.autodiff import differentiate

    x = ops.input_value("x", (3,), DType.FLOAT64)
    (gradient,) = differentiate([ops.sum(x * ops.stop_gradient(x))], [x])
    numbers = np.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(evaluate(gradient, {x: numbers}), numbers)
