"""What kernels compute for one element is what the reference computes for all.

The interpreter below is NumPy's reading of the scalar language, so that a wrong scalar rule is
seen without any kernel.
"""

import numpy as np
import pytest

from numbanet.ir import REGISTRY
from numbanet.ops import scalar
from numbanet.ops.random import philox_uniform
from numbanet.ops.transcendental import erf_reference
from numbanet.testing import evaluate, inputs_like, sample

FUNCTIONS = {
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "erf": lambda x: erf_reference(None, x),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "divide": np.true_divide,
    "power": np.power,
}

CASES = [
    pytest.param(op, case, id=f"{name}-{i}")
    for name, op in sorted(REGISTRY.items())
    if op.is_elementwise
    for i, case in enumerate(op.cases)
]


def interpret(root, arrays, shape):
    def value_of(node):
        if node.kind == "input":
            return arrays[node.payload]
        if node.kind == "constant":
            return np.asarray(node.payload, dtype=node.dtype.numpy)
        if node.kind == "index":
            return np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
        args = [value_of(arg) for arg in node.args]
        if node.kind == "cast":
            return args[0].astype(node.dtype.numpy)
        if node.kind == "uniform":
            seed, step, position = args
            numbers = philox_uniform(int(seed), int(step), node.payload, position)
            return numbers.astype(node.dtype.numpy)
        function = FUNCTIONS.get(node.kind) or getattr(np, node.kind)
        return function(*args)

    return np.broadcast_to(value_of(root), shape)


@pytest.mark.parametrize(("op", "case"), CASES)
def test_scalar_rule_agrees_with_reference(op, case):
    rng = np.random.default_rng(11)
    arrays = [sample(arg, rng) for arg in case.args]
    inputs = inputs_like(arrays)
    output = op.node(*inputs, attrs=case.attrs).output
    slots = [scalar.input_(i, value.dtype) for i, value in enumerate(inputs)]
    root = op.scalar(case.attrs, *slots)
    assert root.dtype is output.dtype
    expected = evaluate(output, dict(zip(inputs, arrays, strict=True)))
    with np.errstate(all="ignore"):
        got = interpret(root, arrays, output.type.sizes)
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)
