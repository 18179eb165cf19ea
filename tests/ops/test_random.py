import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, DTypeError
from numbanet.ir import DType, Graph
from numbanet.ops.random import (
    DROPOUT,
    DropoutAttrs,
    UniformAttrs,
    philox,
    philox_uniform,
)
from numbanet.testing import evaluate, inputs_like

SEED, STEP = np.array(2**40 + 17), np.array(3)


def drop(x, rate, stream=0, seed=SEED, step=STEP):
    inputs = inputs_like((x, seed, step))
    y = DROPOUT(*inputs, attrs=DropoutAttrs(rate, stream))
    return evaluate(y, dict(zip(inputs, (x, seed, step), strict=True)))


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        # Known answers of Random123, the authors' library (kat_vectors, philox4x32 10).
        ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, words):
    def parse(text):
        return [int(word, 16) for word in text.split()]

    first, second = parse(key)
    result = philox(np.array(parse(counter), np.uint64), (first, second))
    assert result.tolist() == parse(words)


def test_uniform_numbers_are_laid_out_over_counter_and_key():
    position, seed, step, stream = 4 * (7 * 2**32 + 5) + 2, 11 * 2**32 + 13, 17, 19
    words = philox(np.array([5, 7, step, stream], np.uint64), (13, 11))
    drawn = philox_uniform(seed, step, stream, np.array([position]))
    assert drawn.tolist() == [(int(words[2]) >> 8) / 2**24]


def test_a_negative_seed_is_its_two_halves():
    words = philox(np.zeros(4, np.uint64), (0xFFFFFFFF, 0xFFFFFFFF))
    assert philox_uniform(-1, 0, 0, np.array([0]))[0] == (int(words[0]) >> 8) / 2**24


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean(rate):
    y = drop(np.ones(100_000), rate)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - rate))
    # Five standard deviations of a binomial count.
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / y.size)


def test_dropouts_differ_by_seed_step_and_stream_and_by_nothing_else():
    x = np.ones(64)
    masks = [
        drop(x, 0.5),
        drop(x, 0.5, stream=1),
        drop(x, 0.5, seed=SEED + 1),
        drop(x, 0.5, seed=SEED + 2**33),
        drop(x, 0.5, step=STEP + 1),
    ]
    assert len({mask.tobytes() for mask in masks}) == len(masks)
    np.testing.assert_array_equal(drop(x, 0.5), masks[0])
    np.testing.assert_array_equal(drop(x.reshape(4, 16), 0.5).reshape(-1), masks[0])


def test_float32_and_float64_drop_the_same_elements():
    x = np.ones(1000)
    np.testing.assert_array_equal(drop(x, 0.3) != 0, drop(x.astype(np.float32), 0.3) != 0)


def test_a_rate_of_zero_changes_nothing():
    x = np.random.default_rng(0).normal(size=50)
    np.testing.assert_array_equal(drop(x, 0.0), x)


def test_the_gradient_is_dropped_where_the_value_was():
    x, seed = np.ones((5, 8)), np.random.default_rng(0).normal(size=(5, 8))
    inputs = inputs_like((x, SEED, STEP, seed))
    y = DROPOUT(*inputs[:3], attrs=DropoutAttrs(0.4, stream=2))
    (gradient,) = differentiate([y], inputs[:1], inputs[3:])
    feeds = dict(zip(inputs, (x, SEED, STEP, seed), strict=True))
    value, slope = evaluate([y, gradient], feeds)
    np.testing.assert_allclose(slope, value * seed)


def test_at_inference_dropout_is_its_input():
    x = ops.input_value("x", (None, 3))
    y = ops.dropout(x, 0.5, *ops.random_state())
    assert y.shape == (None, 3)
    assert DROPOUT.inference(y.node) == (x,)


def test_streams_are_numbered_in_the_order_of_the_graph():
    x = ops.input_value("x", (4,))
    first = ops.dropout(x, 0.5, *ops.random_state())
    second = ops.dropout(first, 0.2, *ops.random_state())
    graph = ops.number_streams(Graph((x,), {"y": ops.relu(second) + first}))
    dropouts = [node for node in graph.nodes if node.op is DROPOUT]
    assert [node.attrs for node in dropouts] == [DropoutAttrs(0.5, 0), DropoutAttrs(0.2, 1)]
    again = ops.number_streams(graph)
    assert [node.attrs for node in again.nodes] == [node.attrs for node in graph.nodes]


def test_uniform_numbers_and_dropout_draw_from_streams_of_their_own():
    x = ops.input_value("x", (4,))
    first = ops.dropout(x, 0.5, *ops.random_state())
    second = ops.random_uniform(x, *ops.random_state())
    graph = ops.number_streams(Graph((x,), {"y": first + second}))
    drawing = [node.attrs for node in graph.nodes if hasattr(node.attrs, "stream")]
    assert drawing == [DropoutAttrs(0.5, 0), UniformAttrs(1)]


def test_states_that_differ_by_themselves_keep_their_streams():
    x, seed = ops.input_value("x", (4,)), ops.input_value("seed", (), DType.INT64)
    y = ops.dropout(x, 0.5, seed, ops.constant(np.int64(1)))
    y = ops.dropout(y, 0.2, seed, ops.constant(np.int64(2)))
    (slope,) = differentiate([ops.sum(y)], [x])
    graph = ops.number_streams(Graph((x, seed), {"y": y, "slope": slope}))
    assert {node.attrs.stream for node in graph.nodes if node.op is DROPOUT} == {0}


def test_uniform_numbers_are_those_of_philox_and_have_no_slope():
    x = np.full((50, 40), np.nan, np.float32)
    inputs = inputs_like((x, SEED, STEP))
    drawn = ops.random_uniform(*inputs)
    numbers = evaluate(drawn, dict(zip(inputs, (x, SEED, STEP), strict=True)))
    expected = philox_uniform(int(SEED), int(STEP), 0, np.arange(2000).reshape(50, 40))
    np.testing.assert_array_equal(numbers, expected.astype(np.float32))
    assert abs(numbers.mean() - 0.5) < 0.03
    assert abs(numbers.var() - 1 / 12) < 0.01
    (slope,) = differentiate([ops.sum(drawn)], [inputs[0]])
    np.testing.assert_array_equal(evaluate(slope, {inputs[0]: x}), np.zeros_like(x))


@pytest.mark.parametrize("batch", [2, None])
def test_noise_is_its_mean_at_inference_and_other_numbers_stay(batch):
    x = ops.input_value("x", (batch, 3))
    noise = ops.random_uniform(x, *ops.random_state(), is_noise=True)
    (mean,) = noise.node.op.inference(noise.node)
    assert mean.type == x.type
    numbers = evaluate(mean, {x: np.full((2, 3), np.nan, np.float32)})
    np.testing.assert_array_equal(numbers, np.full((2, 3), 0.5, np.float32))
    kept = ops.random_uniform(x, *ops.random_state())
    assert kept.node.op.inference(kept.node) == (kept,)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(ArgumentError, match="rate"):
        ops.dropout(ops.input_value("x", (4,)), rate, *ops.random_state())


def test_operands_of_other_types_are_refused():
    x, (seed, step) = ops.input_value("x", (4,)), ops.random_state()
    with pytest.raises(DTypeError, match="a seed and a step"):
        ops.dropout(x, 0.5, seed, ops.input_value("step", (), DType.INT32))
    with pytest.raises(DTypeError, match="dropout"):
        ops.dropout(ops.input_value("x", (4,), DType.INT64), 0.5, seed, step)
