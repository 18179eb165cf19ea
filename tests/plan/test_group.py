"""Independent calls become one launch: what may run together, and that no number changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import numbanet as nb
from benchmarks.plans import Drawing
from numbanet import ops
from numbanet.compile import Options, compile_program
from numbanet.ir import DType, Graph, Update, Variable
from numbanet.kernels.kernel import Call, Kernel
from numbanet.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from numbanet.runtime import get_device
from tests.random_graphs import Drawn, graphs
from tests.reference_device import ReferenceDevice, ReferenceKernel


class JoiningDevice(ReferenceDevice):
    """Joins calls, and never runs them."""

    def __init__(self, most: int = 100) -> None:
        super().__init__()
        self.most = most

    def join(self, calls: Sequence[Call]) -> Call | None:
        if len(calls) > self.most:
            return None
        starts = [sum(len(call.arguments) for call in calls[:i]) for i in range(len(calls))]
        return Call(
            Kernel("joined", ReferenceKernel(None), (), ()),  # type: ignore[arg-type]
            tuple(argument for call in calls for argument in call.arguments),
            tiles=sum(call.tiles for call in calls),
            writes=tuple(
                start + position
                for start, call in zip(starts, calls, strict=True)
                for position in call.writes
            ),
        )


def names(graph: Graph, device: ReferenceDevice) -> list[str]:
    options = Options(passes=frozenset())
    return [launch.op for launch in compile_program(graph, device, options=options).launches]


def test_ready_calls_run_together() -> None:
    x, y = ops.input_value("x", (3,)), ops.input_value("y", (5,))
    a, b = ops.tanh(ops.exp(x)), ops.sqrt(ops.sin(y))
    assert names(Graph((x, y), {"a": a, "b": b}), JoiningDevice()) == ["exp+sin", "tanh+sqrt"]
    assert len(names(Graph((x, y), {"a": a, "b": b}), JoiningDevice(most=1))) == 4


class Choosy(JoiningDevice):
    """Leaves exponentials alone."""

    def join(self, calls: Sequence[Call]) -> Call | None:
        return None if any("exp" in call.kernel.name for call in calls) else super().join(calls)


def test_what_found_no_company_waits_for_it_if_nobody_waits_for_that() -> None:
    x, y = ops.input_value("x", (3,)), ops.input_value("y", (5,))
    a, b = ops.sin(x), ops.cos(ops.exp(y))
    assert names(Graph((x, y), {"a": a, "b": b}), Choosy()) == ["exp", "cos+sin"]
    c = ops.exp(a)
    assert names(Graph((x, y), {"c": c, "b": b}), Choosy()) == ["sin", "exp", "exp", "cos"]
    large, small = ops.input_value("large", (1 << 20,)), ops.cos(ops.exp(x))
    graph = Graph((large, x), {"a": ops.max(large), "b": small})
    assert names(graph, Choosy()) == ["max", "exp", "cos"]


def test_a_variable_is_read_before_it_is_replaced() -> None:
    variable = Variable(np.ones(3, np.float32), "v")
    old = ops.variable_value(variable)
    graph = Graph((), {"y": ops.exp(old)}, (Update(old, ops.tanh(ops.sin(old))),))
    launches = names(graph, JoiningDevice())
    assert launches == ["exp+sin", "tanh"]


def test_variables_that_swap_are_replaced_one_after_the_other() -> None:
    a, b = (ops.variable_value(Variable(np.ones(3, np.float32), name)) for name in "ab")
    graph = Graph((), {}, (Update(a, ops.exp(b)), Update(b, ops.sin(a))))
    assert names(graph, JoiningDevice()) == ["sin", "exp", "fused"]


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_what_a_launch_reads_is_written_by_earlier_ones(drawn: Drawn) -> None:
    program = compile_program(drawn.graph, JoiningDevice(3))
    written: set[object] = set()
    for launch in program.launches:
        mine = [launch.arguments[position] for position in launch.writes]
        assert len(set(mine)) == len(mine)
        for position, place in enumerate(launch.arguments):
            kind = place.buffer.kind  # type: ignore[union-attr]
            if position not in launch.writes and kind in ("arena", "output"):
                assert place in written
        written.update(mine)


def run(drawn: Drawn, options: Options) -> list[np.ndarray]:
    device = get_device("cuda")
    for variable, array in zip(drawn.variables, drawn.start, strict=True):
        variable.assign(array)
    executable = device.load(compile_program(drawn.graph, device, options=options))
    for name in executable.program.inputs:
        executable.bind(name, drawn.feeds[name])
    executable.run(2)
    results = [executable.output(name) for name in drawn.graph.outputs]
    return results + [variable.numpy() for variable in drawn.variables]


@pytest.mark.simulator
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(DType.FLOAT32, max_nodes=10))
def test_joining_changes_no_bit_of_random_graphs(drawn: Drawn) -> None:
    for passes in (frozenset(), Options().passes):
        apart = run(drawn, Options(passes, join_launches=False))
        for a, b in zip(run(drawn, Options(passes)), apart, strict=True):
            np.testing.assert_array_equal(a, b)


def perceptron() -> nb.Model:
    layers = [Flatten(), Dense(9, activation="relu"), Dropout(0.25), Dense(3)]
    return nb.Sequential([nb.Input((4, 4, 1)), *layers])


def convolutional() -> nb.Model:
    layers = [
        Conv2D(2, 3, activation="relu"),
        MaxPooling2D(),
        Dropout(0.25),
        Conv2D(3, 2, activation="relu"),
        Flatten(),
        Dense(3),
    ]
    return nb.Sequential([nb.Input((6, 6, 1)), *layers])


def trained(model: nb.Model, device: str, samples: int = 7) -> list[np.ndarray]:
    """All weights after an epoch of two steps, the second smaller."""
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(samples, *model.input_shape[1:])).astype(np.float32)
    y = rng.integers(0, 3, samples)
    loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        nb.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"], device=device
    )
    model.fit(x, y, batch_size=5, verbose=0, seed=3)
    return [weights for layer in model.layers for weights in layer.get_weights()]


@pytest.mark.simulator
@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_joined_steps_train_as_a_cpu_does(make, monkeypatch) -> None:
    found = []
    for device, join in (("cuda", True), ("cuda", False), ("cpu", False)):
        if not join and device == "cuda":
            monkeypatch.setattr(type(get_device("cuda")), "join", lambda self, calls: None)
        nb.set_seed(5)
        found.append(trained(make(), device))
    for together, apart, cpu in zip(*found, strict=True):
        np.testing.assert_array_equal(together, apart)
        np.testing.assert_allclose(together, cpu, rtol=1e-3, atol=1e-5)


def test_pieces_of_a_value_are_written_together_and_read_afterwards() -> None:
    x = [ops.input_value(f"x{i}", (2, i + 1)) for i in range(3)]
    inner = ops.concatenate(x, axis=1)
    outer = ops.concatenate([inner, x[0]], axis=1)
    program = compile_program(Graph(tuple(x), {"y": outer}), Drawing("cuda"))
    assert [len(launch.writes) for launch in program.launches] == [4, 1]
    padded = ops.pad(x[2], ((1, 1), (0, 2)))
    (launch,) = compile_program(Graph((x[2],), {"y": padded}), Drawing("cuda")).launches
    assert len(launch.writes) == 4


@pytest.mark.simulator
@pytest.mark.parametrize("join", [True, False])
def test_pieces_leave_no_element_out(join) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, i + 1)).astype(np.float32) for i in range(3)]
    x = [ops.input_value(f"x{i}", array.shape) for i, array in enumerate(arrays)]
    inner = ops.concatenate(x, axis=1)
    outer = ops.concatenate([inner, x[0]], axis=1)
    padded = ops.pad(outer, ((1, 1), (0, 2)), 0.5)
    device = get_device("cuda")
    options = Options(join_launches=join)
    executable = device.load(
        compile_program(Graph(tuple(x), {"y": padded}), device, options=options)
    )
    for i, array in enumerate(arrays):
        executable.bind(f"x{i}", array)
    executable.run(2)
    whole = np.concatenate([*arrays, arrays[0]], axis=1)
    expected = np.pad(whole, ((1, 1), (0, 2)), constant_values=0.5)
    np.testing.assert_array_equal(executable.output("y"), expected)
