"""Programs compute what their graphs say, whatever the graph and however memory is shared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from numbanet import ops
from numbanet.compile import PASSES, Options, compile_program
from numbanet.ir import Graph, Update, Variable
from numbanet.ops.state import pack
from numbanet.plan.planner import plan
from tests.random_graphs import Drawn, graphs
from tests.reference_device import ReferenceDevice

NO_PASSES = Options(passes=frozenset())


def run(drawn: Drawn, options: Options, steps: int = 2) -> list[np.ndarray]:
    """Outputs and variables after ``steps`` runs, from the variables' present numbers."""
    start = [variable.numpy() for variable in drawn.variables]
    device = ReferenceDevice()
    executable = device.load(compile_program(drawn.graph, device, options=options))
    for name, array in drawn.feeds.items():
        if name in executable.program.inputs:
            executable.bind(name, array)
    executable.run(steps)
    results = [executable.output(name) for name in drawn.graph.outputs]
    results += [variable.numpy() for variable in drawn.variables]
    for variable, array in zip(drawn.variables, start, strict=True):
        variable.home = None
        variable.assign(array)
    return results


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_passes_do_not_change_results(drawn: Drawn) -> None:
    expected = run(drawn, NO_PASSES)
    for name, _ in PASSES:
        alone = run(drawn, Options(passes=frozenset({name})))
        for a, b in zip(alone, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=name)
    for a, b in zip(run(drawn, Options()), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_sharing_memory_does_not_change_a_bit(drawn: Drawn) -> None:
    for passes in (frozenset(), Options().passes):
        shared = run(drawn, Options(passes, reuse_memory=True))
        separate = run(drawn, Options(passes, reuse_memory=False))
        for a, b in zip(shared, separate, strict=True):
            np.testing.assert_array_equal(a, b)


def test_variables_are_all_read_before_any_is_replaced() -> None:
    a, b = Variable(np.arange(4.0), "a"), Variable(np.arange(4.0) * 10, "b")
    old_a, old_b = ops.variable_value(a), ops.variable_value(b)
    graph = Graph((), {}, (Update(old_a, old_b), Update(old_b, old_a)))
    device = ReferenceDevice()
    executable = device.load(compile_program(graph, device))
    executable.run()
    np.testing.assert_array_equal(a.numpy(), np.arange(4.0) * 10)
    np.testing.assert_array_equal(b.numpy(), np.arange(4.0))


def test_an_elementwise_update_is_computed_in_place() -> None:
    weight, slot = Variable(np.ones(8), "weight"), Variable(np.zeros(8), "slot")
    w, v = ops.variable_value(weight), ops.variable_value(slot)
    gradient = ops.input_value("g", (8,), w.dtype)
    new_v = v * 0.9 + gradient
    graph = Graph((gradient,), {}, (Update(w, w - new_v * 0.1), Update(v, new_v)))
    program = compile_program(graph, ReferenceDevice())
    assert len(program.launches) == 1
    assert program.arena_bytes == 0


def test_a_chain_needs_two_values_at_once_and_one_where_it_may_run_in_place() -> None:
    x = ops.input_value("x", (1024,))
    value = x
    for _ in range(10):
        value = ops.tanh(value)
        value = ops.reshape(value, (32, 32))
        value = ops.sum(value, axes=0, keepdims=True) + ops.reshape(value, (32, 32))
        value = ops.reshape(value, (1024,))
    graph = Graph((x,), {"y": value})
    program = plan(graph, ReferenceDevice().lower, 64)
    assert program.arena_bytes <= 1.05 * program.live_bytes
    assert program.arena_bytes <= 3 * 4096


def test_unknown_passes_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown passes: fusion"):
        Options(passes=frozenset({"fusion"}))


def test_one_result_takes_over_one_operand_only() -> None:
    x = ops.input_value("x", (4,))
    number = ops.sum(x) - ops.max(x) * 2.0 + 1.0
    graph = Graph((x,), {"y": ops.matmul(ops.reshape(number, (1, 1)), ops.reshape(x, (1, 4)))})
    device = ReferenceDevice()
    executable = device.load(compile_program(graph, device))
    executable.bind("x", np.array([1, 2, 3, 5], np.float32))
    executable.run()
    np.testing.assert_array_equal(executable.output("y"), [[2, 4, 6, 10]])


def test_a_pack_with_gaps_is_zero_between_its_parts() -> None:
    x = ops.input_value("x", (3,))
    graph = Graph((x,), {"flat": pack([x, x * 2.0], [0, 5], 9)})
    device = ReferenceDevice()
    executable = device.load(compile_program(graph, device))
    executable.bind("x", np.array([1, 2, 3], np.float32))
    executable.run()
    np.testing.assert_array_equal(executable.output("flat"), [1, 2, 3, 0, 0, 2, 4, 6, 0])


def test_a_pack_with_gaps_is_an_output_where_it_is_computed() -> None:
    x = ops.input_value("x", (3,))
    graph = Graph((x,), {"flat": pack([x * 2.0, x * 3.0], [0, 5], 9)})
    program = compile_program(graph, ReferenceDevice())
    written = [each.arguments[at] for each in program.launches for at in each.writes]
    assert {each.buffer.kind for each in written} == {"output"}
