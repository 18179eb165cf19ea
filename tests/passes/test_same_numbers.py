"""Whatever the graph, a pass changes how it is computed and not what comes out."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from numbanet.autodiff import differentiate
from numbanet.ir import REGISTRY, Graph
from numbanet.ir.verify import verify
from numbanet.passes.algebra import algebra
from numbanet.passes.cse import cse
from numbanet.passes.decompose import decompose
from numbanet.passes.fold import fold
from numbanet.passes.layout import layout
from numbanet.testing import evaluate
from tests.random_graphs import graphs

PRIMITIVE = frozenset(name for name, op in REGISTRY.items() if op.decompose is None)


def primitive(graph):
    return decompose(graph, PRIMITIVE)


def every(graph):
    return cse(layout(algebra(fold(primitive(graph)))))


PASSES = (fold, algebra, layout, cse, primitive, every)


def with_gradients(drawn):
    """The drawn graph with gradients of its outputs as further outputs."""
    graph = drawn.graph
    gradients = differentiate(list(graph.outputs.values()), graph.inputs)
    named = {f"d{i}": gradient for i, gradient in enumerate(gradients)}
    return Graph(graph.inputs, {**graph.outputs, **named}, graph.updates)


@pytest.mark.parametrize("rewrite", PASSES, ids=lambda rewrite: rewrite.__name__)
@given(drawn=graphs(max_nodes=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_pass_keeps_results(rewrite, drawn):
    before = with_gradients(drawn)
    after = rewrite(before)
    verify(after)
    results = [evaluate(graph.results, drawn.feeds) for graph in (before, after)]
    assert len(results[0]) == len(results[1])
    for expected, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rewrite", PASSES, ids=lambda rewrite: rewrite.__name__)
@given(drawn=graphs(max_nodes=12))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_second_run_finds_nothing_new(rewrite, drawn):
    once = rewrite(with_gradients(drawn))
    assert len(rewrite(once).nodes) == len(once.nodes)
