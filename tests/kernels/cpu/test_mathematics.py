"""Float32 functions against float64, over all magnitudes; and that LLVM vectorises them."""

import math
import re

import numpy as np
import pytest

from numbanet.kernels.cpu.compile import run_kernel
from numbanet.kernels.cpu.generated import make_generated
from numbanet.kernels.cpu.translate import optimised_module
from numbanet.kernels.kernel import Kernel
from numbanet.ops.random import philox_uniform

ORACLES = {
    "exp": (np.exp, 1.0),
    "expm1": (np.expm1, 1.5),
    "log": (np.log, 1.0),
    "log1p": (np.log1p, 1.5),
    "tanh": (np.tanh, 2.6),
    "erf": (np.vectorize(math.erf), 1.0),
    "sqrt": (np.sqrt, 0.51),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5),
    "sin": (np.sin, 1.0),
    "cos": (np.cos, 1.0),
    "floor": (np.floor, 0.0),
}
"""By function: float64 results, and the error allowed in units in the last place."""


def kernel(source, dtype="float32", inputs=1):
    arguments = ", ".join(["x", "z"][:inputs])
    text = (
        f"def f(first, last, {arguments}, y):\n"
        "    for i in range(first, last):\n"
        f"        store(0, y, i, {source})\n"
    )
    return Kernel("f", make_generated, (text, "f"), (f"{dtype}*",) * (inputs + 1))


def apply(source, *arrays):
    result = np.empty_like(arrays[0])
    compiled = kernel(source, str(result.dtype), len(arrays))
    run_kernel(compiled, [*arrays, result], result.size)
    return result


def sweep():
    """Numbers of all signs, exponents and kinds, denser where functions turn."""
    bits = np.arange(0, 2**32, 65_521, dtype=np.uint64).astype(np.uint32)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 2.0**-126]
    edges = [88.72283, 88.72284, 89.0, -87.33, -103.97, -104.0, 0.9277344, 3.4e38, 4.0, 9.01]
    turns = np.concatenate([np.linspace(-20, 20, 80_001), np.linspace(-0.01, 0.01, 8_001)])
    return np.concatenate([bits.view(np.float32), np.array(special + edges), turns]).astype(
        np.float32
    )


def errors(result, exact):
    """In units in the last place of the right result; zero where both are the same."""
    rounded = exact.astype(np.float32)
    unit = np.spacing(np.maximum(np.abs(rounded), np.float32(1e-45)))
    with np.errstate(invalid="ignore"):
        off = np.abs(result - exact) / unit
    same = (result == rounded) | (np.isnan(result) & np.isnan(rounded))
    return np.where(same, 0, off)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ORACLES)
def test_float32_functions_are_right_to_the_last_bits(name):
    oracle, allowed = ORACLES[name]
    x = sweep()
    if name in ("sin", "cos"):
        x = x[~(np.abs(x) > 1e6)]
    off = errors(apply(f"{name}_float32(load(x, i))", x), oracle(x.astype(np.float64)))
    worst = np.argmax(np.where(np.isnan(off), np.inf, off))
    assert off[worst] <= allowed, f"{name}({x[worst]!r})"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_exponentials_of_negative_numbers():
    """To the last bit as long as the result is normal, and zero or next to it below that."""
    x = sweep()
    x = x[~(x > 0)]
    result = apply("exp_negative_float32(load(x, i))", x)
    exact = np.exp(x.astype(np.float64))
    is_normal = ~(exact < 2.0**-126)
    assert errors(result[is_normal], exact[is_normal]).max() <= 1.0
    assert (np.abs(result - exact)[~is_normal] <= 2.0**-126).all()
    assert (result[x == -np.inf] == 0).all()
    assert np.isnan(result[np.isnan(x)]).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ORACLES)
def test_float64_functions(name):
    x = np.array([0.0, -0.0, 0.3, -0.7, 1.0, 2.5, -30.0, 700.0, np.inf, -np.inf, np.nan])
    result = apply(f"{name}_float64(load(x, i))", x)
    np.testing.assert_allclose(result, ORACLES[name][0](x), rtol=1e-14)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers(dtype):
    numbers = np.array(
        [0, -0.0, 0.5, 1, -1, 2, -2, 3, 0.1, 1e20, np.inf, -np.inf, np.nan], dtype
    )
    x, z = (each.reshape(-1).copy() for each in np.meshgrid(numbers, numbers))
    source = f"power_{np.dtype(dtype)}(load(x, i), load(z, i))"
    np.testing.assert_allclose(apply(source, x, z), np.power(x, z), rtol=1e-6)


def test_uniform_numbers_are_philox_at_any_position_step_and_seed():
    places = np.array([0, 1, 2, 3, 4, 7, 1000, 2**33 + 5, 2**34 + 2])
    for seed, step, stream in [(0, 0, 0), (13 + (11 << 32), 3, 5), (-1, 2**31, 7)]:
        x = places.astype(np.float64)  # exact
        numbers = f"int64({seed}), int64({step}), int64({stream}), int64(load(x, i))"
        drawn = apply(f"uniform_float64({numbers})", x)
        np.testing.assert_array_equal(drawn, philox_uniform(seed, step, stream, places))


@pytest.mark.parametrize(
    "source",
    [
        *(f"{name}_float32(load(x, i))" for name in ORACLES if name not in ("sin", "cos")),
        "exp_negative_float32(load(x, i))",
        "uniform_float32(int64(1), int64(2), int64(3), i)",
        "load(x, i) if load(x, i) > float32(0.0) else float32(0.0)",
    ],
)
def test_loops_are_vectorised_and_call_nothing(source):
    text = str(optimised_module(kernel(source), "f"))
    assert re.search(r"store <\d+ x float>", text)
    called = set(re.findall(r"call [^@]*@([\w.]+)\(", text))
    assert not {name for name in called if not name.startswith("llvm.")}
    # No test at run time of whether inputs and outputs overlap.
    assert "memcheck" not in text
