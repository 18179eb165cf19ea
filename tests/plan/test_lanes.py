"""Calls side by side: which, what they wait for, and that no order they can run in shows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.compile import Options, compile_program
from numbanet.ir import DType, Graph, Update, Value, Variable
from numbanet.kernels.kernel import Call, Cost
from numbanet.ops.state import pack
from numbanet.plan.lanes import REACH, Lanes, assign, with_waits
from numbanet.plan.program import Launch, Program
from numbanet.plan.timeline import HANDOVER, bound, span
from tests.random_graphs import Drawn, graphs
from tests.reference_device import ReferenceDevice

LONG = Cost(100 * HANDOVER, 0.1)


class WideDevice(ReferenceDevice):
    """Has room for everything at once."""

    def __init__(self, cost: Cost = LONG) -> None:
        super().__init__()
        self.cost = cost

    def estimate(self, call: Call) -> Cost:
        return self.cost


def lanes_of(costs: Sequence[Cost], needs: Sequence[set[int]]) -> tuple[int, ...]:
    calls = list(range(len(costs)))
    return assign(calls, needs, lambda i: costs[i]).of  # type: ignore[arg-type]


# The estimate.


def test_calls_of_a_lane_take_their_sum() -> None:
    costs = [Cost(3.0, 1.0), Cost(4.0, 0.2), Cost(5.0, 0.5)]
    assert span(costs, [set(), set(), {0}], [0, 0, 0]) == pytest.approx(12)
    assert span([], [], []) == 0
    assert bound(costs, [set(), set(), {0}]) == pytest.approx(8)


def test_calls_side_by_side_share_the_device() -> None:
    needs = [set(), set(), {0, 1}]
    small = [Cost(4.0, 0.5), Cost(2.0, 0.5), Cost(1.0, 1.0)]
    assert span(small, needs, [0, 1, 0]) == pytest.approx(5)
    # Both want all of it: at half the pace, the second is done after 4, the first after 6.
    large = [Cost(4.0, 1.0), Cost(2.0, 1.0), Cost(1.0, 1.0)]
    assert span(large, needs, [0, 1, 0]) == pytest.approx(7)
    assert bound(large, needs) == pytest.approx(7)


def test_waiting_for_another_lane_takes_time() -> None:
    chain = [Cost(1.0, 0.1), Cost(1.0, 0.1)]
    assert span(chain, [set(), {0}], [0, 1]) == pytest.approx(2 + 2 * HANDOVER, abs=1e-9)


# Which lanes.


def test_long_branches_run_side_by_side() -> None:
    diamond: list[set[int]] = [set(), {0}, {0}, {1, 2}]
    assert lanes_of([LONG] * 4, diamond) in ((0, 1, 0, 0), (0, 0, 1, 0))


@pytest.mark.parametrize(
    "cost",
    [
        pytest.param(Cost(HANDOVER, 0.1), id="shorter than the waiting"),
        pytest.param(Cost(100 * HANDOVER, 1.0), id="each fills the device"),
    ],
)
def test_where_nothing_is_gained_there_is_one_lane(cost: Cost) -> None:
    assert lanes_of([cost] * 4, [set(), {0}, {0}, {1, 2}]) == (0, 0, 0, 0)


def test_a_chain_has_one_lane() -> None:
    assert lanes_of([LONG] * 6, [set(), {0}, {1}, {2}, {3}, {4}]) == (0,) * 6


def test_a_device_that_estimates_nothing_has_one_lane() -> None:
    lanes = assign([None] * 3, [set(), set(), set()], lambda call: None)  # type: ignore[list-item]
    assert lanes == Lanes((0, 0, 0), ((), (), ()))
    assert lanes.windows == [(0, 0), (1, 1), (2, 2)]
    assert assign([], [], lambda call: LONG) == Lanes((), ())


@st.composite
def assigned(draw: st.DrawFn) -> tuple[list[int], list[set[int]]]:
    count = draw(st.integers(1, 12))
    needs = [draw(st.sets(st.integers(0, i - 1))) if i else set() for i in range(count)]
    return [draw(st.integers(0, 2)) for _ in range(count)], needs


@settings(max_examples=60, deadline=None)
@given(assigned())
def test_waits_are_enough_and_none_is_for_nothing(drawn: tuple) -> None:
    lane, needs = drawn
    lanes = with_waits(lane, needs)

    def done_before(waits: Sequence[Sequence[int]]) -> list[set[int]]:
        found: list[set[int]] = []
        for i, waited in enumerate(waits):
            direct = {*waited, *(j for j in range(i) if lane[j] == lane[i])}
            found.append(direct.union(*(found[j] for j in direct)))
        return found

    known = done_before(lanes.waits)
    assert all(needed <= found for needed, found in zip(needs, known, strict=True))
    for i, waits in enumerate(lanes.waits):
        assert all(lane[j] != lane[i] for j in waits)
        assert lanes.is_after(i, known[i])
        assert not any(lanes.is_after(i, {j}) for j in range(i) if j not in known[i])
        for j in waits:
            fewer = [*lanes.waits]
            fewer[i] = tuple(each for each in waits if each != j)
            assert not needs[i] <= done_before(fewer)[i]
        beside = {j for j in range(len(lane)) if i not in known[j] and j not in known[i]}
        assert lanes.windows[i] == (min(beside), max(beside))


def test_no_call_runs_long_before_or_after_its_turn() -> None:
    """What is needed only at the end could run at any time: it would keep its memory."""
    count = 3 * REACH
    needs = [{i - 2} if i > 1 else set() for i in range(count)]
    lanes = assign([LONG] * count, needs, lambda cost: cost)  # type: ignore[arg-type, list-item]
    assert max(lanes.of) > 0
    assert all(
        i - REACH < first <= last < i + REACH for i, (first, last) in enumerate(lanes.windows)
    )


# Programs.


def any_order(program: Program, rng: random.Random) -> Program:
    """``program`` as if a device had run it in some order that lanes and waits allow."""
    queues = [[] for _ in range(program.lanes)]
    for number, launch in enumerate(program.launches):
        queues[launch.lane].append((number, launch))
    done: set[int] = set()
    order: list[Launch] = []
    while any(queues):
        ready = [queue for queue in queues if queue and done.issuperset(queue[0][1].after)]
        number, launch = rng.choice(ready).pop(0)
        done.add(number)
        order.append(launch)
    return replace(program, launches=tuple(order))


def results(
    graph: Graph,
    feeds: dict[str, np.ndarray],
    start: dict[Variable, np.ndarray],
    rng: random.Random | None = None,
    passes: frozenset[str] = frozenset(),
) -> tuple[list[np.ndarray], int]:
    device = WideDevice()
    options = Options(passes, parallel_lanes=rng is not None)
    for variable, array in start.items():
        variable.home = None
        variable.assign(array)
    program = compile_program(graph, device, options=options)
    executable = device.load(program if rng is None else any_order(program, rng))
    for name in program.inputs:
        executable.bind(name, feeds[name])
    found: list[np.ndarray] = []
    for _ in range(2):
        executable.run()
        found += [executable.output(name) for name in graph.outputs]
    return [*found, *(variable.numpy() for variable in start)], program.lanes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(max_nodes=20), st.randoms(use_true_random=False))
def test_no_order_that_lanes_allow_changes_a_bit(drawn: Drawn, rng: random.Random) -> None:
    start = dict(zip(drawn.variables, drawn.start, strict=True))
    for passes in (frozenset(), Options().passes):
        expected, _ = results(drawn.graph, drawn.feeds, start, passes=passes)
        for _ in range(3):
            found, _ = results(drawn.graph, drawn.feeds, start, rng, passes)
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)


def network() -> tuple[Graph, dict[str, np.ndarray], dict[Variable, np.ndarray]]:
    """A step of a network with several layers: its gradients of weights can run beside those
    of what is between the layers."""
    rng = np.random.default_rng(0)
    start = {
        Variable(np.zeros((6, 6), np.float32), f"w{i}", trainable=True): rng.standard_normal(
            (6, 6)
        ).astype(np.float32)
        for i in range(6)
    }
    weights = [ops.variable_value(variable) for variable in start]
    x: Value = ops.input_value("x", (5, 6))
    y = x
    for weight in weights:
        y = ops.tanh(y @ weight) + y
    loss = ops.mean(ops.square(y))
    gradients = differentiate([loss], weights)
    updates = tuple(
        Update(weight, weight - 0.1 * gradient)
        for weight, gradient in zip(weights, gradients, strict=True)
    )
    feeds = {"x": rng.standard_normal((5, 6)).astype(np.float32)}
    return Graph((x,), {"loss": loss}, updates), feeds, start


def test_a_network_s_step_has_lanes_and_gives_the_same_bits() -> None:
    graph, feeds, start = network()
    expected, one = results(graph, feeds, start)
    assert one == 1
    for seed in range(20):
        found, lanes = results(graph, feeds, start, random.Random(seed))
        assert lanes > 1
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_lanes_are_listed(golden) -> None:
    graph, _, _ = network()
    program = compile_program(graph, WideDevice(), options=Options())
    golden("lanes", str(program))


def test_a_part_of_a_variable_waits_for_its_readers() -> None:
    """The new value of a variable may be computed in parts, each by a call of its own."""
    variable = Variable(np.zeros(8, np.float32), "v")
    old = ops.variable_value(variable)
    a, b = ops.input_value("a", (4,), DType.FLOAT32), ops.input_value("b", (4,), DType.FLOAT32)
    new = pack([ops.exp(a), ops.exp(b)], (0, 4), 8)
    graph = Graph((a, b), {"y": ops.sum(ops.exp(old)) * 2.0}, (Update(old, new),))
    feeds = {"a": np.ones(4, np.float32), "b": np.zeros(4, np.float32)}
    start = {variable: np.arange(8, dtype=np.float32)}
    expected, _ = results(graph, feeds, start)
    for seed in range(10):
        found, _ = results(graph, feeds, start, random.Random(seed))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_result_does_not_take_over_what_another_lane_still_reads() -> None:
    x = ops.input_value("x", (5, 5), DType.FLOAT32)
    a = ops.matmul(x, x)
    read = ops.matmul(ops.matmul(a, x), x)
    over = ops.matmul(ops.matmul(ops.tanh(a), x), x)
    graph = Graph((x,), {"read": read, "over": over}, ())
    feeds = {"x": np.random.default_rng(0).standard_normal((5, 5)).astype(np.float32)}
    passes = Options().passes - {"epilogue"}
    expected, _ = results(graph, feeds, {}, passes=passes)
    for seed in range(10):
        found, lanes = results(graph, feeds, {}, random.Random(seed), passes)
        assert lanes > 1
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
