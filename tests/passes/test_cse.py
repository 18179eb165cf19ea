"""Common subexpressions."""

import numpy as np

from numbanet import ops
from numbanet.ir import Graph, Update, Variable
from numbanet.passes.cse import cse


def count(graph, name):
    return sum(node.op.name == name for node in graph.nodes)


def test_equal_nodes_become_one():
    x = ops.input_value("x", (3,))
    graph = cse(Graph((x,), {"a": ops.exp(x) + 1.0, "b": ops.exp(x) + 1.0}))
    assert graph.outputs["a"] is graph.outputs["b"]
    assert [count(graph, name) for name in ("exp", "add", "constant")] == [1, 1, 1]


def test_order_of_operands_matters_only_where_it_does():
    x, y = ops.input_value("x", (3,)), ops.input_value("y", (3,))
    graph = cse(Graph((x, y), {"a": (x + y) - (y + x), "b": x - y, "c": y - x}))
    assert count(graph, "add") == 1
    assert count(graph, "subtract") == 3


def test_attributes_tell_nodes_apart():
    x = ops.input_value("x", (3, 4))
    graph = cse(Graph((x,), {"a": ops.sum(x, 0), "b": ops.sum(x, 1), "c": ops.sum(x, -2)}))
    assert count(graph, "sum") == 2


def test_constants_are_equal_by_bits_and_dtype():
    x = ops.input_value("x", (2,))
    outputs = {"a": x + 0.0, "b": x + -0.0, "c": x + 0.0}
    assert count(cse(Graph((x,), outputs)), "constant") == 2


def test_reads_of_one_variable_become_one_and_its_update_follows():
    variable = Variable(np.zeros(2), "v")
    first, second = ops.variable_value(variable), ops.variable_value(variable)
    graph = cse(Graph((), {"y": first * 2.0}, (Update(second, second + 1.0),)))
    assert count(graph, "variable") == 1
    assert graph.updates[0].old.node in graph.nodes


def test_inputs_are_never_merged():
    x, y = ops.input_value("x", (2,)), ops.input_value("y", (2,))
    assert count(cse(Graph((x, y), {"z": x + y})), "input") == 2
