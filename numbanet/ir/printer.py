"""Graphs as text: one line a node, stable, made to be read and compared with golden files.

::

    graph(%0: images)
      %0 = input() : f32[None, 784]
      %1 = variable(fc1/kernel) : f32[784, 128]
      %2 = matmul(%0, %1) : f32[None, 128]  # fc1
      return logits=%2
"""

from __future__ import annotations

from numbanet.ir.graph import Graph
from numbanet.ir.value import Node, Value


def print_graph(graph: Graph) -> str:
    names = _number(graph)
    lines = [f"graph({', '.join(names[value] for value in graph.inputs)})"]
    lines += [f"  {_line(node, names)}" for node in graph.nodes]
    for update in graph.updates:
        lines.append(f"  update {names[update.old]} <- {names[update.new]}")
    returned = ", ".join(f"{name}={names[value]}" for name, value in graph.outputs.items())
    lines.append(f"  return {returned}")
    return "\n".join(lines)


def _number(graph: Graph) -> dict[Value, str]:
    names: dict[Value, str] = {}
    for node in graph.nodes:
        for value in node.outputs:
            names[value] = f"%{len(names)}"
    return names


def _line(node: Node, names: dict[Value, str]) -> str:
    left = ", ".join(names[value] for value in node.outputs)
    arguments = [names[value] for value in node.inputs]
    attributes = str(node.attrs)
    if attributes:
        arguments.append(attributes)
    types = ", ".join(str(value.type) for value in node.outputs)
    line = f"{left} = {node.op.name}({', '.join(arguments)}) : {types}"
    return f"{line}  # {node.path}" if node.path else line
