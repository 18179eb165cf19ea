"""Initializers: moments, limits, seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numbanet import initializers, set_seed
from numbanet.errors import ArgumentError
from numbanet.layers import Dense, Input

SHAPE, FANS = (400, 300), (400, 300)

VARIANCES = {
    "glorot_uniform": 2 / 700,
    "glorot_normal": 2 / 700,
    "he_uniform": 2 / 400,
    "he_normal": 2 / 400,
    "lecun_uniform": 1 / 400,
    "lecun_normal": 1 / 400,
    "random_normal": 0.05**2,
    "random_uniform": 0.1**2 / 12,
    # A normal that is cut off at two deviations varies less.
    "truncated_normal": (0.05 * 0.87962566) ** 2,
    "orthogonal": 1 / 400,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_mean_and_variance(name: str) -> None:
    set_seed(1)
    numbers = initializers.get(name)(SHAPE, FANS)
    assert numbers.shape == SHAPE
    # Five standard errors of 120,000 draws.
    assert abs(numbers.mean()) < 5 * math.sqrt(VARIANCES[name] / numbers.size)
    assert numbers.var() == pytest.approx(VARIANCES[name], rel=0.03)


def test_limits() -> None:
    uniform = initializers.GlorotUniform(seed=0)(SHAPE, FANS)
    assert np.abs(uniform).max() <= math.sqrt(6 / 700)
    normal = initializers.HeNormal(seed=0)(SHAPE, FANS)
    assert np.abs(normal).max() <= 2 * math.sqrt(2 / 400) / 0.87962566


def test_constants() -> None:
    assert not initializers.get("zeros")((3,), (1, 1)).any()
    assert initializers.get("ones")((3,), (1, 1)).tolist() == [1, 1, 1]
    assert initializers.Constant(0.5)((2,), (1, 1)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 5)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = initializers.Orthogonal(gain=2.0)(shape).reshape(-1, shape[-1])
    few = matrix if matrix.shape[0] < matrix.shape[1] else matrix.T
    np.testing.assert_allclose(few @ few.T, 4 * np.eye(len(few)), atol=1e-12)
    with pytest.raises(ArgumentError, match="2 or more axes"):
        initializers.Orthogonal()((3,))


def test_identity() -> None:
    np.testing.assert_array_equal(initializers.Identity(3.0)((2, 3)), 3 * np.eye(2, 3))
    with pytest.raises(ArgumentError, match="2 axes"):
        initializers.Identity()((2, 3, 4))


def test_fans_are_those_of_the_shape_or_of_axes() -> None:
    assert initializers.fans_of(()) == (1, 1)
    assert initializers.fans_of((5,)) == (5, 5)
    assert initializers.fans_of((3, 2, 4, 7)) == (24, 42)
    by_axes = initializers.VarianceScaling(
        distribution="uniform", seed=0, input_axes=(1, 2), output_axes=(0,)
    )
    limit = math.sqrt(3 / 500)
    assert 0.95 * limit < np.abs(by_axes((40, 50, 10))).max() <= limit


NAMES = [
    *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity"),
    *("LecunNormal", "LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform"),
    *("TruncatedNormal", "VarianceScaling", "Zeros", "IdentityInitializer", "one", "zero"),
    *("OrthogonalInitializer", "normal", "uniform", "constant", "variance_scaling"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_of_keras(name: str) -> None:
    assert initializers.get(name)((4, 3), (4, 3)).shape == (4, 3)


def test_one_seed_gives_one_model() -> None:
    def weights() -> np.ndarray:
        layer = Dense(3)
        layer(Input((4,)))
        return layer.kernel.numpy()

    set_seed(7)
    first, second = weights(), weights()
    set_seed(7)
    np.testing.assert_array_equal(weights(), first)
    assert (first != second).any()


def test_seeds_of_their_own_leave_the_shared_generator_alone() -> None:
    set_seed(7)
    expected = initializers.HeNormal()((3,), (1, 1))
    set_seed(7)
    own = initializers.HeNormal(seed=3)
    np.testing.assert_array_equal(own((3,), (1, 1)), own((3,), (1, 1)))
    np.testing.assert_array_equal(initializers.HeNormal()((3,), (1, 1)), expected)


def test_unknown_names() -> None:
    with pytest.raises(ArgumentError, match="unknown initializer"):
        initializers.get("glorot")
    with pytest.raises(ArgumentError, match="unknown mode"):
        initializers.VarianceScaling(mode="fan")((3,), (1, 1))
    with pytest.raises(ArgumentError, match="unknown distribution"):
        initializers.VarianceScaling(distribution="normal")((3,), (1, 1))
