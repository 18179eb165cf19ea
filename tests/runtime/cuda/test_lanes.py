"""Lanes in captured graphs: each launch comes after what it needs, and nothing runs loose."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import numbanet as nb
from numbanet.kernels.kernel import Cost
from numbanet.layers import Dense, Dropout
from numbanet.plan.lanes import with_waits
from numbanet.plan.program import Address, Launch, Program
from numbanet.runtime.cuda.device import CudaDevice
from numbanet.runtime.cuda.driver import Packed
from numbanet.runtime.cuda.real import RealDriver
from tests.runtime.cuda.programs import MULTIPLY

SHARED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""One driver serves all examples: what one leaves behind is the next one's trouble."""


@st.composite
def assigned(draw: st.DrawFn) -> tuple[list[int], list[set[int]]]:
    count = draw(st.integers(1, 10))
    needs = [draw(st.sets(st.integers(0, i - 1))) if i else set() for i in range(count)]
    return [draw(st.integers(0, 3)) for _ in range(count)], needs


@SHARED
@given(assigned(), st.integers(1, 3))
def test_a_graph_has_the_order_of_the_lanes(
    api: Any, driver: RealDriver, drawn: Any, times: int
) -> None:
    lanes = with_waits(*drawn)
    count = len(lanes.of)
    with driver:
        launcher = driver.prepare(MULTIPLY, (0, 0, 0, 1), 1)
        step = [Packed(launcher, *each) for each in zip(lanes.of, lanes.waits, strict=True)]
        driver.capture(step, times)
    graph = api.captures[-1]
    assert len(graph.nodes) == count * times
    for number in range(count * times):
        turn, i = divmod(number, count)
        expected = {turn * count + j for j in range(count) if lanes.is_after(i, {j})}
        expected |= set(range(turn * count))
        assert graph.before(graph.nodes[number]) == expected


def trained(device: CudaDevice) -> nb.Model:
    layers = [Dense(8, activation="relu"), Dropout(0.1), Dense(8, activation="tanh"), Dense(3)]
    model = nb.Sequential([nb.Input((6,)), *layers])
    loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nb.optimizers.Adam(0.01), loss, metrics=["accuracy"], device=device)
    return model


def unordered(program: Program, graph: Any) -> list[tuple[int, int]]:
    """Launches of a graph of one step that touch the same address, one of them writing there,
    and of which neither is sure to come first."""
    before = [graph.before(node) for node in graph.nodes]
    touched = [_touched(launch) for launch in program.launches]
    found = []
    for i, j in combinations(range(len(touched)), 2):
        (read, written), (read_later, written_later) = touched[i], touched[j]
        is_shared = written & (read_later | written_later) or read & written_later
        if is_shared and i not in before[j]:
            found.append((i, j))
    return found


def _touched(launch: Launch) -> tuple[set[Address], set[Address]]:
    """Addresses that a launch reads, and those that it writes."""
    places = {
        position: argument
        for position, argument in enumerate(launch.arguments)
        if isinstance(argument, Address)
    }
    written = {places[position] for position in launch.writes}
    return {place for at, place in places.items() if at not in launch.writes}, written


@pytest.fixture
def wide(driver: RealDriver, monkeypatch: pytest.MonkeyPatch) -> CudaDevice:
    """Has room for all calls at once, and none of them is joined to others."""
    monkeypatch.setattr(CudaDevice, "estimate", lambda self, call: Cost(1e-3, 0.01))
    monkeypatch.setattr(CudaDevice, "join", lambda self, calls: None)
    return CudaDevice(driver)


def captured(api: Any, device: CudaDevice, program: Program) -> Any:
    step = device.load(program)
    for name, buffer in program.inputs.items():
        assert buffer.type is not None
        step.bind(name, np.zeros(buffer.type.sizes, buffer.type.dtype.numpy))
    step.run(3)
    return api.captures[-1]


def test_launches_that_share_memory_are_ordered(api: Any, wide: CudaDevice) -> None:
    program = trained(wide).program(batch_size=5, samples=20)
    assert program.lanes > 1
    assert unordered(program, captured(api, wide, program)) == []


def test_a_wait_that_is_missing_is_found(api: Any, wide: CudaDevice) -> None:
    program = trained(wide).program(batch_size=5, samples=20)
    loose = tuple(replace(launch, after=()) for launch in program.launches)
    program = replace(program, launches=loose)
    assert unordered(program, captured(api, wide, program))


def test_the_first_step_has_one_lane(api: Any, wide: CudaDevice) -> None:
    """Its kernels are waited for one by one, so that a failure names its layer."""
    program = trained(wide).program(batch_size=5, samples=20)
    step = wide.load(program)
    for name, buffer in program.inputs.items():
        assert buffer.type is not None
        step.bind(name, np.zeros(buffer.type.sizes, buffer.type.dtype.numpy))
    api.log.clear()
    step.run()
    launches = [stream for what, stream, *_ in api.log if what == "launch"]
    assert launches == [wide.driver.stream] * len(program.launches)
