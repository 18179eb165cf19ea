"""First numbers: bounds, moments, structure, and PyTorch's gains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet.errors import ArgumentError, NumbanetError, ShapeError
from numbanet.initializers import set_seed
from numbanet.ir import DType
from numbanet.nn import init
from numbanet.tensors.tensor import Tensor

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    set_seed(0)
    yield
    set_seed(0)


def empty(*shape: int, dtype: str = "float32") -> Tensor:
    return Tensor.wrap(np.zeros(shape, dtype))


WEIGHT = (60, 50, 3, 3)
FAN_IN, FAN_OUT = 50 * 9, 60 * 9
XAVIER = math.sqrt(2 / (FAN_IN + FAN_OUT))
SLOPE = math.sqrt(2 / (1 + 0.3**2))

# The function, its arguments, and what follows: mean, standard deviation, bounds.
DRAWS: list[tuple[str, dict[str, Any], tuple[float, float, float, float]]] = [
    ("uniform_", {}, (0.5, 12**-0.5, 0, 1)),
    ("uniform_", {"a": -3.0, "b": -1.0}, (-2, 2 * 12**-0.5, -3, -1)),
    ("normal_", {}, (0, 1, -np.inf, np.inf)),
    ("normal_", {"mean": 5.0, "std": 0.1}, (5, 0.1, -np.inf, np.inf)),
    ("trunc_normal_", {}, (0, 0.8796, -2, 2)),
    ("trunc_normal_", {"std": 0.02}, (0, 0.02, -2, 2)),
    ("trunc_normal_", {"a": -1.0, "b": 1.0}, (0, 0.53956, -1, 1)),
    ("trunc_normal_", {"mean": 1.0, "a": 1.0, "b": 9.0}, (1.79788, 0.60281, 1, 9)),
    ("xavier_uniform_", {}, (0, XAVIER, -XAVIER * 3**0.5, XAVIER * 3**0.5)),
    ("xavier_uniform_", {"gain": 2.0}, (0, 2 * XAVIER, -XAVIER * 12**0.5, XAVIER * 12**0.5)),
    ("xavier_normal_", {}, (0, XAVIER, -np.inf, np.inf)),
    ("xavier_normal_", {"gain": 0.5}, (0, XAVIER / 2, -np.inf, np.inf)),
    ("kaiming_uniform_", {}, (0, (2 / FAN_IN) ** 0.5, -((6 / FAN_IN) ** 0.5), np.inf)),
    ("kaiming_uniform_", {"a": 5**0.5}, (0, (3 * FAN_IN) ** -0.5, -(FAN_IN**-0.5), np.inf)),
    ("kaiming_normal_", {"a": 0.3}, (0, SLOPE * FAN_IN**-0.5, -np.inf, np.inf)),
    (
        "kaiming_normal_",
        {"mode": "fan_out", "nonlinearity": "relu"},
        (0, (2 / FAN_OUT) ** 0.5, -np.inf, np.inf),
    ),
    (
        "kaiming_normal_",
        {"nonlinearity": "tanh"},
        (0, 5 / 3 * FAN_IN**-0.5, -np.inf, np.inf),
    ),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), DRAWS, ids=str)
def test_draws_have_the_moments_and_bounds(
    name: str, arguments: dict[str, Any], expected: tuple[float, float, float, float]
) -> None:
    tensor = empty(*WEIGHT)
    assert getattr(init, name)(tensor, **arguments) is tensor
    mean, deviation, lower, upper = expected
    numbers = tensor.array().astype(np.float64)
    tolerance = 5 / math.sqrt(numbers.size)
    assert abs(numbers.mean() - mean) < tolerance * deviation
    assert abs(numbers.std() / deviation - 1) < tolerance
    assert lower <= numbers.min() < numbers.max() <= upper


@pytest.mark.parametrize(
    ("a", "b"), [(3.0, 30.0), (-30.0, -3.0), (-0.01, 0.02), (0.5, 0.6), (1.0, 1.5), (6.0, 7.0)]
)
def test_unlikely_intervals_are_drawn_by_their_density(a: float, b: float) -> None:
    tensor = empty(50_000, dtype="float64")
    if abs(a) > 2 and abs(b) > 2:
        with pytest.warns(UserWarning, match="2 std"):
            init.trunc_normal_(tensor, a=a, b=b)
    else:
        init.trunc_normal_(tensor, a=a, b=b)
    numbers = tensor.array()
    assert a <= numbers.min() < numbers.max() <= b
    # Quantiles against the integral of the density.
    grid = np.linspace(a, b, 200_001)
    weights = np.exp(-0.5 * (grid**2 - min(a**2, b**2)))
    distribution = np.cumsum(weights) / weights.sum()
    for level in (0.1, 0.5, 0.9):
        quantile = grid[np.searchsorted(distribution, level)]
        assert abs((numbers < quantile).mean() - level) < 0.015


def test_truncation_needs_an_interval() -> None:
    with pytest.raises(ArgumentError, match="a < b"):
        init.trunc_normal_(empty(3), a=1.0, b=1.0)


CONSTANTS: list[tuple[Callable[[Tensor], Tensor], Callable[[Any], Any]]] = [
    (init.ones_, torch.nn.init.ones_),
    (init.zeros_, torch.nn.init.zeros_),
    (lambda t: init.constant_(t, 0.3), lambda t: torch.nn.init.constant_(t, 0.3)),
    (init.eye_, torch.nn.init.eye_),
]


@pytest.mark.parametrize(("ours", "theirs"), CONSTANTS)
@pytest.mark.parametrize("shape", [(3, 5), (4, 4), (5, 1)])
def test_constants_are_pytorchs(
    ours: Callable[[Tensor], Tensor], theirs: Callable[[Any], Any], shape: tuple[int, int]
) -> None:
    tensor = Tensor.wrap(np.full(shape, 7, np.float32))
    assert ours(tensor) is tensor
    np.testing.assert_array_equal(tensor.array(), theirs(torch.full(shape, 7.0)).numpy())


@pytest.mark.parametrize("shape", [(4, 2, 3), (2, 4, 3, 5), (6, 3, 2, 3, 1), (4, 4, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_is_pytorchs(shape: tuple[int, ...], groups: int) -> None:
    expected = torch.nn.init.dirac_(torch.ones(shape), groups).numpy()
    np.testing.assert_array_equal(init.dirac_(empty(*shape), groups).array(), expected)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 2, 2, 2), (8, 2, 3)])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    tensor = init.orthogonal_(empty(*shape, dtype="float64"), gain=2.0)
    matrix = tensor.array().reshape(shape[0], -1)
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(matrix @ matrix.T, 4 * np.eye(len(matrix)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign() -> None:
    diagonal = [init.orthogonal_(empty(3, 3)).array()[0, 0] for _ in range(200)]
    assert 60 < sum(entry > 0 for entry in diagonal) < 140


def test_sparse_columns() -> None:
    numbers = init.sparse_(empty(25, 400), sparsity=0.1, std=0.5).array()
    np.testing.assert_array_equal((numbers == 0).sum(axis=0), np.full(400, 3))
    assert abs(numbers[numbers != 0].std() / 0.5 - 1) < 0.05
    assert len(np.unique(np.argwhere(numbers == 0)[:, 0])) == 25


GAINS: list[tuple[str, float | None]] = [
    *((name, None) for name in init._GAINS),
    ("leaky_relu", None),
    ("leaky_relu", 0.2),
    ("leaky_relu", 1),
]


@pytest.mark.parametrize(("name", "param"), GAINS)
def test_gains_are_pytorchs(name: str, param: float | None) -> None:
    expected = torch.nn.init.calculate_gain(name, param)
    assert init.calculate_gain(name, param) == pytest.approx(expected, rel=1e-15)


def test_the_shared_generator_makes_draws_repeat() -> None:
    first = init.normal_(empty(4)).array()
    second = init.normal_(empty(4)).array()
    set_seed(0)
    np.testing.assert_array_equal(init.normal_(empty(4)).array(), first)
    assert not np.array_equal(first, second)
    own = init.uniform_(empty(4), generator=np.random.default_rng(3)).array()
    again = init.uniform_(empty(4), generator=np.random.default_rng(3)).array()
    np.testing.assert_array_equal(own, again)


def test_parameters_are_filled_in_place_and_as_they_are_shown() -> None:
    kernel = nn.Parameter(np.zeros((4, 2, 3, 3), np.float64), layout=(0, 2, 3, 1))
    variable = kernel.variable
    assert init.dirac_(kernel) is kernel
    assert kernel.variable is variable
    assert kernel.requires_grad
    assert kernel.dtype is DType.FLOAT64
    assert kernel.array()[1, 1, 1, 1] == 1
    assert variable.numpy()[1, 1, 1, 1] == 1
    assert kernel.array().sum() == 2


MISTAKES: list[tuple[Callable[[], Any], type[NumbanetError], str]] = [
    (lambda: init.eye_(empty(3)), ShapeError, "matrix"),
    (lambda: init.sparse_(empty(2, 2, 2), 0.5), ShapeError, "matrix"),
    (lambda: init.dirac_(empty(2, 2)), ShapeError, "3, 4 or 5"),
    (lambda: init.dirac_(empty(3, 2, 1), groups=2), ArgumentError, "groups"),
    (lambda: init.orthogonal_(empty(2)), ShapeError, "two or more"),
    (lambda: init.xavier_normal_(empty(2)), ShapeError, "two or more"),
    (lambda: init.kaiming_normal_(empty(2, 2), mode="fan"), ArgumentError, "fan_in"),
    (lambda: init.calculate_gain("gelu"), ArgumentError, "gelu"),
    (lambda: init.calculate_gain("leaky_relu", True), ArgumentError, "slope"),
    (lambda: init.normal_(empty(2), generator=cast("Any", 3)), ArgumentError, "Generator"),
]


@pytest.mark.parametrize(("mistake", "kind", "word"), MISTAKES)
def test_mistakes(mistake: Callable[[], Any], kind: type[NumbanetError], word: str) -> None:
    with pytest.raises(kind, match=word):
        mistake()
