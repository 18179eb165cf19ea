"""Which convolutions are measured, and that it changes no number."""

import numpy as np

from numbanet import ops
from numbanet.ir import DType, Graph
from numbanet.ir.verify import verify
from numbanet.ops.batch_norm import BATCH_MOMENTS, BATCH_NORM_SUMS, BatchNormAttrs
from numbanet.ops.composite import MEASURED
from numbanet.ops.convolution import CONV2D_TRANSPOSE, Conv2dTransposeAttrs
from numbanet.passes.measured import measured
from numbanet.testing import run

NAMES = ("x", "w", "mean", "var")
X = ops.input_value("x", (2, 4, 4, 3), DType.FLOAT32)
W = ops.input_value("w", (5, 3, 3, 3), DType.FLOAT32)
RUNNING = [ops.input_value(name, (5,), DType.FLOAT32) for name in ("mean", "var")]


def moments(x, *running):
    return BATCH_MOMENTS(x, *(running or RUNNING), attrs=BatchNormAttrs(0.9, 1e-3))


def measures(*outputs) -> int:
    """Convolutions that are measured, where all numbers stay the same."""
    graph = Graph((X, W, *RUNNING), {f"y{i}": value for i, value in enumerate(outputs)})
    rng = np.random.default_rng(0)
    feeds = {
        name: rng.random(value.type.sizes, np.float32)
        for name, value in zip(NAMES, graph.inputs, strict=True)
    }
    result = measured(graph)
    verify(result)
    before, after = run(graph, feeds), run(result, feeds)
    for name, expected in before.items():
        np.testing.assert_array_equal(after[name], expected)
    return sum(node.op is MEASURED for node in result.nodes)


def test_a_convolution_is_measured_where_its_moments_are_taken():
    y = ops.conv2d(X, W)
    mean, rstd, *new = moments(y)
    assert measures((y - mean) * rstd, *new) == 1


def test_moments_of_other_values_are_left_alone():
    y = ops.relu(ops.conv2d(X, W))
    assert measures(y, *moments(y)) == 0


def test_only_the_first_moments_are_taken_along():
    y = ops.conv2d(X, W)
    assert measures(y, *moments(y), *moments(y, RUNNING[1], RUNNING[0])) == 1


def test_nothing_is_measured_that_nobody_stores():
    assert measures(*moments(ops.conv2d(X, W))) == 0


def test_running_values_that_depend_on_the_convolution_are_waited_for():
    y = ops.conv2d(X, W)
    assert measures(y, *moments(y, ops.mean(y, (0, 1, 2)), RUNNING[1])) == 0


def test_two_convolutions_are_measured_each():
    y, z = ops.conv2d(X, W), ops.conv2d(X, W * 2)
    assert measures(y + z, *moments(y), *moments(z)) == 2


def test_a_data_gradient_is_measured_where_scale_and_shift_get_theirs():
    y = ops.conv2d(X, W)
    attrs = Conv2dTransposeAttrs(size=(4, 4))
    g = CONV2D_TRANSPOSE(y, W, attrs=attrs)
    vectors = (X[0, 0, 0], X[0, 0, 1])
    assert measures(*vectors, g, *BATCH_NORM_SUMS(X, *vectors, g)) == 1
    assert measures(*vectors, *BATCH_NORM_SUMS(X, *vectors, g)) == 0
    assert measures(*vectors, y, g, *BATCH_NORM_SUMS(g, *vectors, X)) == 0
    assert measures(*vectors, g, *BATCH_NORM_SUMS(X, vectors[0], g[0, 0, 0], g)) == 0
