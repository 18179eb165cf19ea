"""Values in slices: who leaves them, who adds them up, and that the bits are the same."""

from __future__ import annotations

from itertools import accumulate
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import numbanet as nb
from benchmarks.plans import Drawing
from numbanet import ops
from numbanet.compile import Options, compile_program
from numbanet.ir import DType, Graph, Update, Value, Variable
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda import partial
from numbanet.kernels.cuda.tiling import Plan, divide, tilings
from numbanet.layers import Conv2D, Dense, Flatten
from numbanet.ops.leaf import InputAttrs, VariableAttrs
from numbanet.ops.state import pack
from numbanet.plan.program import Address, Program
from numbanet.plan.slices import MOST_PARTS
from numbanet.runtime import get_device
from tests.random_graphs import Drawn, graphs


def gradient(name: str, rows: int, columns: int, samples: int = 8192) -> tuple[Value, Graph]:
    """A long product, and a graph with its operands as inputs."""
    x = ops.input_value(f"x_{name}", (samples, rows))
    dy = ops.input_value(f"dy_{name}", (samples, columns))
    return ops.matmul(x, dy, transpose_a=True), Graph((x, dy), {})


def planned(graph: Graph, *inputs: Graph, join: bool = True) -> list[str]:
    """Names of the kernels."""
    whole = Graph(sum((each.inputs for each in inputs), ()), graph.outputs, graph.updates)
    program = compile_program(whole, Drawing("cuda"), options=Options(join_launches=join))
    return [launch.kernel.name for launch in program.launches]


def is_left_in_slices(names: list[str]) -> bool:
    assert any("matmul_tn" in name for name in names)
    left = any(name.endswith("_of_sums") for name in names)
    assert left != any("sum_partials" in name for name in names)
    return left


def variable(name: str, *shape: int) -> Value:
    return ops.variable_value(Variable(np.ones(shape, np.float32), name))


def flat_update(*parts: Value, offsets: tuple[int, ...], size: int) -> Update:
    parameters = variable("parameters", size)
    return Update(parameters, parameters - ops.multiply(pack(parts, offsets, size), 0.1))


def test_an_optimizer_adds_up_gradients() -> None:
    (a, first), (b, second) = gradient("a", 16, 16), gradient("b", 5, 10)
    graph = Graph((), {}, (flat_update(a, b, offsets=(0, 256), size=320),))
    names = planned(graph, first, second)
    assert is_left_in_slices(names)
    assert len(names) == 2
    assert names[-1] == "multiply_subtract_of_sums"


def test_so_does_any_elementwise_reader() -> None:
    a, inputs = gradient("a", 16, 16)
    other = ops.input_value("z", (16, 16))
    reader = ops.sum(ops.exp(ops.reshape(a, (256,))) * ops.reshape(other, (256,)))
    assert not is_left_in_slices(planned(Graph((), {"y": reader}), inputs, Graph((other,), {})))
    w = variable("w", 256)
    updates = (Update(w, w * ops.reshape(a, (256,)) + ops.sqrt(w)),)
    assert is_left_in_slices(planned(Graph((), {}, updates), inputs))


def test_what_two_calls_read_is_added_up_once() -> None:
    a, inputs = gradient("a", 16, 16)
    update = flat_update(a, offsets=(0,), size=256)
    norm = ops.sqrt(ops.sum(ops.square(a)))
    assert not is_left_in_slices(planned(Graph((), {"norm": norm}, (update,)), inputs))


def test_what_is_wanted_is_added_up() -> None:
    a, inputs = gradient("a", 16, 16)
    flat = pack([a], (0,), 256)
    parameters = variable("parameters", 256)
    update = Update(parameters, ops.exp(parameters) * flat)
    for outputs in ({"flat": flat}, {"a": a}):
        assert "sum_partials" in " ".join(planned(Graph((), outputs, (update,)), inputs))


def test_what_is_read_in_another_order_is_added_up() -> None:
    a, inputs = gradient("a", 8, 16)
    w = variable("w", 16, 8)
    update = Update(w, ops.exp(ops.transpose(a, (1, 0)) * w))
    assert not is_left_in_slices(planned(Graph((), {}, (update,)), inputs))


def test_many_bytes_are_added_up_while_they_are_in_the_cache() -> None:
    a, inputs = gradient("a", 512, 512, samples=100_000)
    graph = Graph((), {}, (flat_update(a, offsets=(0,), size=512 * 512),))
    assert not is_left_in_slices(planned(graph, inputs))


def test_no_more_parts_are_taken_than_a_kernel_has_arguments_for() -> None:
    found = [gradient(f"g{i}", 4, 4) for i in range(MOST_PARTS + 2)]
    parts = [part for part, _ in found]
    offsets = tuple(16 * i for i in range(len(parts)))
    graph = Graph((), {}, (flat_update(*parts, offsets=offsets, size=16 * len(parts)),))
    names = planned(graph, *(inputs for _, inputs in found))
    assert names[-1].endswith("_of_sums")
    assert "sum_partials" in " ".join(names)


def test_the_listing_shows_slices() -> None:
    a, inputs = gradient("a", 16, 16)
    graph = Graph(inputs.inputs, {}, (flat_update(a, offsets=(0,), size=256),))
    program = compile_program(graph, Drawing("cuda"))
    place = program.launches[0].arguments[program.launches[0].writes[0]]
    assert isinstance(place, Address)
    assert place.slices > 1
    assert f"{place.slices}xarena+0" in str(program)


def run(graph: Graph, feeds: dict[str, np.ndarray], *, join: bool) -> tuple[Program, list]:
    device = get_device("cuda")
    program = compile_program(graph, device, options=Options(join_launches=join))
    executable = device.load(program)
    for name, array in feeds.items():
        executable.bind(name, array)
    for update in graph.updates:
        owner = attrs_of(update.old.node, VariableAttrs).variable
        owner.assign(np.linspace(-1, 1, owner.type.size).astype(np.float32))
    executable.run(2)
    owners = [attrs_of(each.old.node, VariableAttrs).variable for each in graph.updates]
    return program, [owner.numpy() for owner in owners]


@pytest.fixture
def split(monkeypatch):
    """Products whose reader adds up are split in three, whatever their sizes."""

    def choose(rows, columns, terms, count, dtype, *, is_added_by_reader=False):
        return divide(tilings(dtype)[0], 3, terms)

    monkeypatch.setattr(partial, "choose", choose)


@pytest.mark.simulator
def test_the_reader_adds_the_bits_that_a_launch_would(split) -> None:
    """Two split products, a fold in parts, one value that is there, and gaps."""
    (a, first), (b, second) = gradient("a", 3, 5, samples=23), gradient("b", 4, 4, samples=19)
    there = ops.exp(ops.input_value("z", (7,)))
    bias = ops.sum(ops.input_value("dy", (90, 3)), axes=(0,))
    inputs = (*first.inputs, *second.inputs, there.node.inputs[0], bias.node.inputs[0])
    update = flat_update(a, there, b, bias, offsets=(0, 16, 32, 48), size=64)
    graph = Graph(inputs, {}, (update,))
    rng = np.random.default_rng(0)
    feeds = {
        attrs_of(value.node, InputAttrs).name: rng.normal(size=value.type.sizes).astype(
            np.float32
        )
        for value in inputs
    }
    together, (found,) = run(graph, feeds, join=True)
    apart, (expected,) = run(graph, feeds, join=False)
    kernels = " ".join(launch.kernel.name for launch in together.launches)
    assert kernels.endswith("of_sums")
    assert "sum_partials" not in kernels
    assert sum(launch.kernel.name == "sum_partials" for launch in apart.launches) == 3
    np.testing.assert_array_equal(found, expected)
    start = np.linspace(-1, 1, 64).astype(np.float32)
    dense = np.zeros(64)
    x, dy = feeds["x_a"].astype(np.float64), feeds["dy_a"]
    dense[:15] = (x.T @ dy).ravel()
    dense[16:23] = np.exp(feeds["z"])
    dense[32:48] = (feeds["x_b"].astype(np.float64).T @ feeds["dy_b"]).ravel()
    dense[48:51] = feeds["dy"].astype(np.float64).sum(0)
    np.testing.assert_allclose(found, start - 0.2 * dense, rtol=1e-5, atol=1e-5)


@pytest.mark.simulator
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(DType.FLOAT32, max_nodes=10))
def test_the_bits_of_random_graphs_are_the_same(drawn: Drawn) -> None:
    """With an optimizer of products of what they compute, each in slices, some of zeros."""

    def choose(rows, columns, terms, count, dtype, *, is_added_by_reader=False):
        tiling = tilings(dtype)[0]
        return Plan(tiling, 1 + rows % 3, divide(tiling, 1, terms).chunk)

    products = [
        ops.matmul(ops.reshape(value, (-1, 1)), ops.reshape(value, (1, -1)))
        for value in drawn.graph.outputs.values()
    ]
    offsets = (0, *accumulate(-(-value.type.size // 16) * 16 for value in products))
    update = flat_update(*products, offsets=offsets[:-1], size=offsets[-1])
    owner = attrs_of(update.old.node, VariableAttrs).variable
    graph = Graph(drawn.graph.inputs, drawn.graph.outputs, (*drawn.graph.updates, update))
    with mock.patch.object(partial, "choose", choose):
        for passes in (frozenset(), Options().passes):
            found = []
            for join in (False, True):
                owner.assign(np.linspace(-1, 1, owner.type.size).astype(np.float32))
                results = drawn_run(graph, drawn, Options(passes, join_launches=join))
                found.append([*results, owner.numpy()])
            for apart, together in zip(*found, strict=True):
                np.testing.assert_array_equal(apart, together)


def drawn_run(graph: Graph, drawn: Drawn, options: Options) -> list[np.ndarray]:
    device = get_device("cuda")
    for owner, array in zip(drawn.variables, drawn.start, strict=True):
        owner.assign(array)
    executable = device.load(compile_program(graph, device, options=options))
    for name in executable.program.inputs:
        executable.bind(name, drawn.feeds[name])
    executable.run(2)
    outputs = [executable.output(name) for name in graph.outputs]
    return outputs + [owner.numpy() for owner in drawn.variables]


OPTIMIZERS = {
    "momentum": lambda: nb.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: nb.optimizers.Adam(0.01),
}


@pytest.mark.simulator
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_train_as_with_sums_of_their_own(split, monkeypatch, name) -> None:
    """And as on a CPU, to rounding."""
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(10, 4, 4, 1)).astype(np.float32)
    y = rng.integers(0, 3, 10)
    weights = []
    for device, join in (("cuda", True), ("cuda", False), ("cpu", True)):
        nb.set_seed(5)
        layers = [Conv2D(2, 3, activation="relu"), Flatten(), Dense(3)]
        model = nb.Sequential([nb.Input((4, 4, 1)), *layers])
        loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(OPTIMIZERS[name](), loss, device=device)
        with monkeypatch.context() as patch:
            if not join:
                patch.setattr(type(get_device("cuda")), "join", None)
            model.fit(x, y, batch_size=10, epochs=2, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    for together, apart, cpu in zip(*weights, strict=True):
        np.testing.assert_array_equal(together, apart)
        np.testing.assert_allclose(together, cpu, rtol=1e-3, atol=1e-5)
