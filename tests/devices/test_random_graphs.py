"""Random graphs on devices: what passes and memory plans may not change, with real kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from numbanet.compile import Options, compile_program
from numbanet.ir import DType
from numbanet.runtime import get_device
from numbanet.runtime.device import Device
from numbanet.testing import run as run_reference
from tests.random_graphs import Drawn, graphs

NO_PASSES = Options(passes=frozenset())
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Device:
    return get_device(request.param)


def run(drawn: Drawn, device: Device, options: Options, steps: int = 2) -> list[np.ndarray]:
    """Outputs and variables after ``steps`` runs, from the numbers that were drawn."""
    for variable, array in zip(drawn.variables, drawn.start, strict=True):
        variable.assign(array)
    executable = device.load(compile_program(drawn.graph, device, options=options))
    for name in executable.program.inputs:
        executable.bind(name, drawn.feeds[name])
    executable.run(steps)
    results = [executable.output(name) for name in drawn.graph.outputs]
    return results + [variable.numpy() for variable in drawn.variables]


def check_against_reference(drawn: Drawn, device: Device, tolerance: float) -> None:
    """Passes on, passes off and the NumPy references give the same numbers."""
    for variable, array in zip(drawn.variables, drawn.start, strict=True):
        variable.home = None
        variable.assign(array)
    expected = list(run_reference(drawn.graph, drawn.feeds).values())
    expected += [variable.numpy() for variable in drawn.variables]
    for options in (Options(), NO_PASSES):
        found = run(drawn, device, options, steps=1)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@FEW
@given(graphs(max_nodes=10))
def test_passes_do_not_change_results_in_float64(device: Device, drawn: Drawn) -> None:
    check_against_reference(drawn, device, 1e-9)


@FEW
@given(graphs(DType.FLOAT32, max_nodes=10))
def test_passes_do_not_change_results_in_float32(device: Device, drawn: Drawn) -> None:
    check_against_reference(drawn, device, 2e-4)


@FEW
@given(graphs(DType.FLOAT32, max_nodes=12))
def test_memory_plans_and_runs_do_not_change_a_bit(device: Device, drawn: Drawn) -> None:
    expected = run(drawn, device, Options(reuse_memory=False))
    for options in (Options(), Options()):
        for a, b in zip(run(drawn, device, options), expected, strict=True):
            np.testing.assert_array_equal(a, b)
