"""The verifier lets good graphs pass and names what is wrong with broken ones."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import VerificationError
from numbanet.ir import (
    Attrs,
    DType,
    Graph,
    Node,
    Op,
    TensorType,
    Update,
    Value,
    Variable,
    scope,
)
from numbanet.ir.verify import verify
from numbanet.ops.arithmetic import ADD
from numbanet.ops.leaf import InputAttrs
from numbanet.ops.transcendental import EXP

NO_ATTRS = Attrs()
F32 = DType.FLOAT32


def network():
    x = ops.input_value("x", (None, 3))
    variable = Variable(np.ones(3, np.float32), "scale", trainable=True)
    scale = ops.variable_value(variable)
    with scope("layer"):
        y = ops.relu(x * scale)
    return Graph((x,), {"y": y}, (Update(scale, scale * 0.5),))


def test_recorded_graph_passes():
    verify(network())


def refused(graph, match):
    with pytest.raises(VerificationError, match=match):
        verify(graph)


def test_type_that_the_op_does_not_infer():
    x = ops.input_value("x", (3,))
    node = Node(EXP, (x,), NO_ATTRS, "head/dense", (TensorType((4,), F32),))
    refused(Graph((x,), {"y": node.output}), r"head/dense: exp\(\).*f32\[4\].*f32\[3\]")


def test_inputs_that_the_op_refuses():
    x, y = ops.input_value("x", (3,)), ops.input_value("y", (4,))
    node = Node(ADD, (x, y), NO_ATTRS, "sum", (x.type,))
    refused(Graph((x, y), {"y": node.output}), r"sum: add\(\).*broadcast")


def test_value_that_is_not_its_nodes_output():
    x = ops.input_value("x", (3,))
    stray = Value(x.node, 0, x.type)
    refused(Graph((x,), {"y": stray}), "outputs that know their node")
    refused(Graph((x,), {"y": ops.exp(stray)}), "outputs that know their node")


def test_leaf_that_reads():
    x = ops.input_value("x", (3,))
    leaf = Op("leaf", infer=lambda attrs, _: x.type, reference=lambda attrs: None, is_leaf=True)
    refused(Graph((x,), {"y": leaf(x)}), "a leaf reads nothing")


def test_attributes_without_a_hash():
    @dataclass(frozen=True)
    class ListAttrs(Attrs):
        numbers: list = field(default_factory=list)

    x = ops.input_value("x", (3,))
    refused(Graph((x,), {"y": EXP(x, attrs=ListAttrs())}), "can be hashed")


def test_input_that_is_not_listed():
    x, y = ops.input_value("x", (3,)), ops.input_value("y", (3,))
    refused(Graph((x,), {"y": x + y}), "every input leaf")


def test_value_listed_as_input():
    x = ops.input_value("x", (3,))
    refused(Graph((ops.exp(x), x), {"y": x}), "op input among the inputs")


def test_two_inputs_of_one_name():
    x, y = ops.input_value("x", (3,)), ops.input_value("x", (4,))
    refused(Graph((x, y), {}), "share a name, got x")


def test_one_input_twice():
    x = ops.input_value("x", (3,))
    refused(Graph((x, x), {}), "share a name")


def test_update_of_what_is_no_variable():
    x = ops.input_value("x", (3,))
    refused(Graph((x,), {}, (Update(x, x + 1.0),)), "updates of variables")


def test_update_of_another_type():
    old = ops.variable_value(Variable(np.zeros(3), "v"))
    refused(Graph((), {}, (Update(old, ops.sum(old)),)), r"f64\[\].*type f64\[3\]")


def test_variable_updated_through_two_leaves():
    variable = Variable(np.zeros(3), "twice")
    first, second = ops.variable_value(variable), ops.variable_value(variable)
    updates = (Update(first, second), Update(second, first))
    refused(Graph((), {}, updates), "updated twice, got <Variable 'twice'")


def test_input_attributes_decide_the_type():
    attrs = InputAttrs("x", TensorType((3,), F32))
    node = Node(ops.input_value("x", (3,)).node.op, (), attrs, "", (TensorType((2,), F32),))
    refused(Graph((node.output,), {}), r"f32\[3\]")
