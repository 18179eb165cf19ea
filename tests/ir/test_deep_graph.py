"""A chain of 20,000 nodes goes through every walk: none of them recurses over the graph."""

import gc
import weakref

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import SymbolicValueError
from numbanet.ir import DType, Graph, rewrite, substitute, topological
from numbanet.ir.verify import verify
from numbanet.passes.algebra import algebra
from numbanet.passes.cse import cse
from numbanet.passes.decompose import decompose
from numbanet.passes.fold import fold
from numbanet.passes.inference import inference
from numbanet.passes.layout import layout
from numbanet.testing import evaluate

LENGTH = 20_000


@pytest.fixture(scope="module")
def chain():
    x = ops.input_value("x", (1,), DType.FLOAT64)
    y = x
    for _ in range(LENGTH):
        y = -y
    return Graph((x,), {"y": y})


def test_walks(chain):
    verify(chain)
    assert len(chain.nodes) == LENGTH + 1
    assert len(chain.consumers) == LENGTH + 1
    assert len(str(chain).splitlines()) == LENGTH + 3
    np.testing.assert_array_equal(evaluate(chain, {"x": [2.0]})["y"], [2.0])


def test_rewrites(chain):
    x = ops.input_value("z", (1,), DType.FLOAT64)
    other = substitute(chain, {chain.inputs[0]: x})
    assert other.inputs == (x,)
    assert len(other.nodes) == LENGTH + 1
    assert rewrite(chain, lambda node, inputs: None).nodes == chain.nodes


def test_differentiation(chain):
    (gradient,) = differentiate([chain.outputs["y"]], chain.inputs)
    np.testing.assert_array_equal(evaluate(gradient, {"x": [2.0]}), [1.0])


@pytest.mark.parametrize("rewrite_", [fold, cse, layout, inference], ids=lambda f: f.__name__)
def test_passes(chain, rewrite_):
    assert len(rewrite_(chain).nodes) == LENGTH + 1


def test_algebra(chain):
    assert len(algebra(chain).nodes) == 1


def test_decomposition(chain):
    assert decompose(chain, frozenset()) is chain


def test_graph_is_freed():
    y = ops.input_value("x", ())
    first = weakref.ref(y)
    for _ in range(LENGTH):
        y = -y
    del y
    gc.collect()
    assert first() is None


def test_shared_node_is_visited_once():
    x = ops.input_value("x", ())
    y = x
    for _ in range(60):
        y = y + y
    assert len(topological([y])) == 61


@pytest.mark.parametrize("asked", [bool, float, int, len, list, np.asarray])
def test_value_has_no_number(asked):
    with pytest.raises(SymbolicValueError):
        asked(ops.input_value("x", (3,)))
