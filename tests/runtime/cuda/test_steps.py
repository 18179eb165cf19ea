"""Whole programs on the simulated device, against the NumPy references of their ops."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from numbanet.compile import Options, compile_program
from numbanet.ir import DType
from numbanet.runtime import get_device
from numbanet.testing import run as run_reference
from tests.random_graphs import graphs

pytestmark = pytest.mark.simulator

FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def check(drawn, options, tolerance):
    """Three runs on the device (launched, captured, replayed) and by references."""
    device = get_device("cuda")
    for variable, array in zip(drawn.variables, drawn.start, strict=True):
        variable.assign(array)
    step = device.load(compile_program(drawn.graph, device, options=options))
    for name in step.program.inputs:
        step.bind(name, drawn.feeds[name])
    step.run(3)
    found = [step.output(name) for name in drawn.graph.outputs]
    found += [variable.numpy() for variable in drawn.variables]
    for variable, array in zip(drawn.variables, drawn.start, strict=True):
        variable.home = None
        variable.assign(array)
    for _ in range(3):
        expected = list(run_reference(drawn.graph, drawn.feeds).values())
    expected += [variable.numpy() for variable in drawn.variables]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@FEW
@given(graphs(DType.FLOAT32, max_nodes=10))
def test_random_graphs(drawn):
    check(drawn, Options(), 1e-3)


@FEW
@given(graphs(max_nodes=10))
def test_random_graphs_without_passes(drawn):
    check(drawn, Options(passes=frozenset()), 1e-9)
