"""Every op in the registry, each of its cases, on a device: values and gradients.

Values are held against the NumPy reference in float64; gradients, computed by the device from
the gradient's graph, against central differences of that reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.compile import compile_program
from numbanet.ir import REGISTRY, Case, DType, Graph, Op
from numbanet.runtime import get_device
from numbanet.runtime.device import Device
from numbanet.testing import evaluate, inputs_like, sample

BLOCKED = {"stop_gradient"}
"""Ops whose gradient is not the slope, by intention."""

STEP = 1e-6

CASES = [
    pytest.param(op, case, id=f"{name}-{i}")
    for name, op in sorted(REGISTRY.items())
    for i, case in enumerate(op.cases)
]


@pytest.fixture(
    scope="module",
    params=[
        "cpu",
        pytest.param("cuda", marks=pytest.mark.simulator, id="simulator"),
        pytest.param("cuda", marks=pytest.mark.gpu, id="gpu"),
    ],
)
def device(request: pytest.FixtureRequest) -> Device:
    return get_device(request.param)


def arrays_for(case: Case, dtype: DType) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    arrays = [np.asarray(sample(arg, rng)) for arg in case.args]
    return [a.astype(dtype.numpy) if a.dtype.kind == "f" else a for a in arrays]


def run(graph: Graph, arrays: list[np.ndarray], device: Device) -> dict[str, np.ndarray]:
    executable = device.load(compile_program(graph, device))
    for i, array in enumerate(arrays):
        if f"x{i}" in executable.program.inputs:
            executable.bind(f"x{i}", array)
    executable.run()
    return {name: executable.output(name) for name in graph.outputs}


@pytest.mark.parametrize(("op", "case"), CASES)
def test_values_in_float32(device: Device, op: Op, case: Case) -> None:
    arrays = arrays_for(case, DType.FLOAT32)
    inputs = inputs_like(arrays)
    outputs = op.node(*inputs, attrs=case.attrs).outputs
    found = run(Graph(inputs, {str(i): v for i, v in enumerate(outputs)}), arrays, device)
    exact = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    wide = inputs_like(exact)
    expected = evaluate(op.node(*wide, attrs=case.attrs).outputs, _feeds(wide, exact))
    for i, (output, want) in enumerate(zip(outputs, expected, strict=True)):
        assert found[str(i)].dtype == output.dtype.numpy
        np.testing.assert_allclose(found[str(i)], want, rtol=3e-5, atol=3e-6)


@pytest.mark.parametrize(
    ("op", "case"),
    [p for p in CASES if p.values[0].gradient and p.values[0].name not in BLOCKED],
)
def test_gradients_in_float64(device: Device, op: Op, case: Case) -> None:
    arrays = arrays_for(case, DType.FLOAT64)
    inputs = inputs_like(arrays)
    output = op.node(*inputs, attrs=case.attrs).outputs[0]
    if not output.dtype.is_floating:
        pytest.skip("its first output has no slope")
    weights = np.random.default_rng(3).uniform(-1, 1, output.type.sizes)
    wrt = [value for value in inputs if value.dtype.is_floating]
    gradients = differentiate([output], wrt, [ops.constant(weights, output.dtype)])
    graph = Graph(inputs, {str(i): v for i, v in enumerate((output, *gradients))})
    found = run(graph, arrays, device)
    want = evaluate(output, _feeds(inputs, arrays))
    np.testing.assert_allclose(found["0"], want, rtol=1e-9, atol=1e-11)

    def weighted(changed: list[np.ndarray]) -> float:
        return float(np.sum(evaluate(output, _feeds(inputs, changed)) * weights))

    slopes = _slopes(weighted, arrays)
    for i, slope in enumerate(slopes):
        np.testing.assert_allclose(found[str(i + 1)], slope, rtol=1e-5, atol=1e-6)


def _feeds(inputs, arrays):
    return dict(zip(inputs, arrays, strict=True))


def _slopes(
    function: Callable[[list[np.ndarray]], float], arrays: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Central differences of ``function`` with respect to each floating array."""
    for which, array in enumerate(arrays):
        if array.dtype.kind != "f":
            continue
        slope = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            sides = []
            for sign in (1, -1):
                changed = [a.copy() for a in arrays]
                changed[which][place] += sign * STEP
                sides.append(function(changed))
            slope[place] = (sides[0] - sides[1]) / (2 * STEP)
        yield slope


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32", "float64"])
def test_divisions_with_a_remainder(device: Device, dtype: str) -> None:
    """Signs, multiples, and zero as the divisor."""
    numbers = np.array([7, 200, 5, 0, 6, 1] if dtype == "uint8" else [7, -7, 5, 0, -6, 1])
    a, b = (each.ravel().astype(dtype) for each in np.meshgrid(numbers, [3, 5, 0, 2]))
    if dtype != "uint8":
        a, b = np.concatenate([a, a]), np.concatenate([b, -b])
    inputs = inputs_like([a, b])
    outputs = {"r": ops.remainder(*inputs), "q": ops.floor_divide(*inputs)}
    found = run(Graph(inputs, outputs), [a, b], device)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(found["r"], np.remainder(a, b))
        np.testing.assert_array_equal(found["q"], np.floor_divide(a, b))
