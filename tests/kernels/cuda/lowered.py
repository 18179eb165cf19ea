"""Runs a node's CUDA lowering on the simulator, in memory full of poison."""

import numpy as np

from numbanet.ir import DType, Node, Value
from numbanet.ir.op import Case
from numbanet.kernels.cuda import LOWERINGS
from numbanet.kernels.cuda.simulate import launch
from numbanet.kernels.kernel import Call, Scratch
from numbanet.testing import inputs_like, sample


def node_of(op, attrs, arrays) -> Node:
    return op.node(*inputs_like(arrays), attrs=attrs)


def calls_of(node: Node) -> tuple[Call, ...]:
    calls = LOWERINGS[node.op.name](node)
    for call in calls:
        check_call(call)
    return calls


def check_call(call: Call) -> None:
    """What planner and executors take for granted."""
    assert len(call.arguments) == len(call.kernel.signature)
    assert call.tiles > 0
    for argument, name in zip(call.arguments, call.kernel.signature, strict=True):
        if isinstance(argument, Value):
            assert name == f"{argument.dtype}*"
        else:
            assert name.endswith("*") == isinstance(argument, Scratch)
    for position in (*call.writes, *(at for pair in call.in_place for at in pair)):
        assert call.kernel.signature[position].endswith("*")


def run_calls(node: Node, calls, arrays) -> list[np.ndarray]:
    """Outputs of ``node``. What is written starts as NaN or nonsense."""
    memory = dict(zip(node.inputs, (flat(array) for array in arrays), strict=True))
    memory |= {value: poison(value.type.size, value.dtype) for value in node.outputs}
    for call in calls:
        for argument, name in zip(call.arguments, call.kernel.signature, strict=True):
            if isinstance(argument, Scratch) and argument not in memory:
                dtype = DType.of(name.removesuffix("*"))
                memory[argument] = poison(argument.nbytes // dtype.itemsize, dtype)
        arguments = [memory.get(each, each) for each in call.arguments]
        for position, nbytes in call.offsets:
            arguments[position] = arguments[position][nbytes // arguments[position].itemsize :]
        launch(call.kernel, arguments, call.tiles)
    return [memory[value].reshape(value.type.sizes) for value in node.outputs]


def flat(array: np.ndarray) -> np.ndarray:
    return np.array(array, order="C").reshape(-1)


def poison(size: int, dtype: DType) -> np.ndarray:
    return np.full(size, np.nan if dtype.is_floating else 77, dtype.numpy)


def check_node(op, attrs, arrays, *, tolerance=None, calls=None) -> None:
    """The lowering agrees with the op's reference on the arrays in float64."""
    node = node_of(op, attrs, arrays)
    actual = run_calls(node, calls_of(node) if calls is None else calls(node), arrays)
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    expected = op.reference(attrs, *wide)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for got, want, value in zip(actual, expected, node.outputs, strict=True):
        assert got.dtype == value.dtype.numpy
        if not value.dtype.is_floating:
            np.testing.assert_array_equal(got, want)
            continue
        close = tolerance or (1e-5 if value.dtype is DType.FLOAT32 else 1e-12)
        np.testing.assert_allclose(got, want, rtol=close, atol=close)


def case_arrays(case: Case, dtype, seed=0) -> list[np.ndarray]:
    """The arrays of a case, floating-point ones converted to ``dtype``."""
    rng = np.random.default_rng(seed)
    arrays = [sample(arg, rng) for arg in case.args]
    return [array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays]


def normal(*shape, dtype=np.float32, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)
