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
