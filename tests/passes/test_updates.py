"""Products that move weights: the same numbers, and the gradient stored nowhere."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.compile import PASSES, Options, compile_program, optimise
from numbanet.ir import Graph, Update, Variable
from numbanet.ops.matmul import MATMUL_UPDATE
from numbanet.ops.state import pack, segment
from numbanet.passes.updates import LEAST_BYTES
from numbanet.runtime import get_device
from numbanet.testing import evaluate

CPU = get_device("cpu")
ROWS, COLUMNS = 70, 65
SIZE = ROWS * COLUMNS
assert SIZE * 4 >= LEAST_BYTES
PLAIN = Options(passes=frozenset(name for name, _ in PASSES) - {MATMUL_UPDATE.name})


def momentum(flat, velocity, gradient):
    moved = 0.9 * velocity + gradient
    return flat - 0.1 * moved, moved


def descent(flat, velocity, gradient):
    return (flat - 0.1 * gradient,)


class Step:
    """One step for parameters of these shapes, packed at multiples of 16.

    Those of ``ROWS x COLUMNS`` have products for gradients, others a sum.
    """

    def __init__(self, shapes, rule=momentum, change=lambda gradient, flat: gradient):
        rng = np.random.default_rng(0)
        self.offsets, end = [], 0
        for shape in shapes:
            self.offsets.append(end)
            end += -(-int(np.prod(shape)) // 16) * 16
        numbers = rng.standard_normal((2, end)).astype(np.float32)
        self.variables = [Variable(n, name) for n, name in zip(numbers, "pv", strict=True)]
        flat, velocity = map(ops.variable_value, self.variables)
        x = ops.input_value("x", (9, ROWS))
        g = ops.input_value("g", (9, COLUMNS))
        self.feeds = {each: rng.standard_normal(each.shape).astype("f") for each in (x, g)}
        gradients = [
            change(self.gradient(x, g + offset, shape), segment(flat, offset, shape))
            for shape, offset in zip(shapes, self.offsets, strict=True)
        ]
        gradient = pack(gradients, self.offsets, end)
        moved = rule(flat, velocity, gradient)
        moves = (Update(old, new) for old, new in zip((flat, velocity), moved, strict=False))
        self.graph = Graph((x, g), {}, tuple(moves))

    @staticmethod
    def gradient(x, g, shape):
        if shape == (ROWS, COLUMNS):
            return ops.matmul(x, g, transpose_a=True)
        return ops.expand(ops.sum(g), shape)

    def expected(self):
        return evaluate([update.new for update in self.graph.updates], self.feeds)

    def run(self, options):
        start = [variable.numpy() for variable in self.variables]
        program = compile_program(self.graph, CPU, options=options)
        executable = CPU.load(program)
        for leaf, array in self.feeds.items():
            executable.bind(leaf.node.attrs.name, array)
        executable.run()
        results = [variable.numpy() for variable in self.variables]
        for variable, numbers in zip(self.variables, start, strict=True):
            variable.assign(numbers)
        return program, results

    def moving(self, options=Options()):  # noqa: B008, immutable
        graph = optimise(self.graph, CPU.native, options)
        return [node for node in graph.nodes if node.op is MATMUL_UPDATE]


BIG = (ROWS, COLUMNS)


@pytest.mark.parametrize("rule", [momentum, descent])
@pytest.mark.parametrize(
    "shapes",
    [(BIG,), (BIG, (7,)), ((3,), BIG), ((5, 3), BIG, (2,)), (BIG, (1,), BIG), (BIG, BIG)],
    ids=str,
)
def test_products_take_their_part_of_the_step(shapes, rule):
    step = Step(shapes, rule)
    expected = step.expected()
    assert len(step.moving()) == shapes.count(BIG)
    program, results = step.run(Options())
    _, plain = step.run(PLAIN)
    for wanted, got, same in zip(expected, results, plain, strict=False):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(got, same, rtol=1e-5, atol=1e-5)
    # Gaps behind matrices that do not fill a line are moved, too: no result is copied.
    copies = [each for each in program.launches if each.kernel.name == "copy"]
    assert all(each.nbytes < LEAST_BYTES for each in copies)


def test_a_gradient_is_stored_nowhere():
    program, _ = Step((BIG,)).run(Options())
    written = {buffer.kind for buffer in program.buffers if buffer.nbytes >= LEAST_BYTES}
    assert written == {"variable"}


def test_what_is_done_to_a_gradient_first_stays_with_it():
    """Weight decay ends up in the product's epilogue before the step does."""
    step = Step((BIG, (4,)), change=lambda gradient, weights: gradient + 0.3 * weights)
    (node,) = step.moving()
    assert len(node.attrs.epilogue.outputs) == 2
    for wanted, got in zip(step.expected(), step.run(Options())[1], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def clipped(flat, velocity, gradient):
    norm = ops.sqrt(ops.sum(gradient * gradient))
    return momentum(flat, velocity, gradient / ops.maximum(norm, 1.0))


def noisy(flat, velocity, gradient):
    """What is drawn for an element depends on where it stands."""
    seed, step = ops.constant(np.int64(3)), ops.constant(np.int64(4))
    return momentum(flat, velocity, ops.dropout(gradient, 0.5, seed, step))


@pytest.mark.parametrize("rule", [clipped, noisy])
def test_gradients_that_are_needed_as_a_whole_are_stored(rule):
    step = Step((BIG, (4,)), rule)
    assert step.moving() == []
    for wanted, got in zip(step.expected(), step.run(Options())[1], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_a_second_run_finds_nothing_new():
    step = Step((BIG, (7,)))
    once = optimise(step.graph, CPU.native, Options())
    assert len(optimise(once, CPU.native, Options()).nodes) == len(once.nodes)


def test_weights_move_when_all_have_read_them():
    """The gradient of an input reads the weights that the same step moves."""
    rng = np.random.default_rng(1)
    start = rng.standard_normal(SIZE).astype(np.float32)
    variable = Variable(start, "p")
    flat = ops.variable_value(variable)
    x, g = ops.input_value("x", (9, ROWS)), ops.input_value("g", (9, COLUMNS))
    weights = segment(flat, 0, BIG)
    back = ops.matmul(g, weights, transpose_b=True)
    gradient = pack([ops.matmul(x, g, transpose_a=True)], [0], SIZE)
    graph = Graph((x, g), {"dx": back}, (Update(flat, flat - 0.1 * gradient),))
    program = compile_program(graph, CPU)
    assert [launch.op for launch in program.launches][-1] == "matmul_update"
    assert "copy" not in str(program)
    executable = CPU.load(program)
    numbers = [rng.standard_normal(each.shape).astype("f") for each in (x, g)]
    executable.bind("x", numbers[0])
    executable.bind("g", numbers[1])
    executable.run()
    kernel = start.reshape(BIG)
    np.testing.assert_allclose(
        executable.output("dx"), numbers[1] @ kernel.T, rtol=1e-4, atol=1e-4
    )
    moved = kernel - 0.1 * numbers[0].T @ numbers[1]
    np.testing.assert_allclose(variable.numpy().reshape(BIG), moved, rtol=1e-4, atol=1e-4)
