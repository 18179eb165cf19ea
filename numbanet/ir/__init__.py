"""The graph: values, nodes, op records, variables, and how they print and are checked."""

from numbanet.ir.graph import Graph, Update, rebuild, rewrite, substitute, topological
from numbanet.ir.op import NO_ATTRS, REGISTRY, Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.scope import at_path, current_path, scope
from numbanet.ir.types import DType, Shape, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ir.variable import Variable

__all__ = [
    "NO_ATTRS",
    "REGISTRY",
    "Arg",
    "Attrs",
    "Case",
    "DType",
    "Graph",
    "Node",
    "Op",
    "Shape",
    "TensorType",
    "Update",
    "Value",
    "Variable",
    "at_path",
    "attrs_of",
    "current_path",
    "rebuild",
    "register",
    "rewrite",
    "scope",
    "substitute",
    "topological",
]
