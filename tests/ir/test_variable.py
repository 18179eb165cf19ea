"""Variables: numbers that people and kernels see in different orders of axes."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet.errors import ShapeError
from numbanet.ir import Variable


def test_a_layout_is_how_numbers_are_stored_and_not_how_they_are_shown() -> None:
    shown = np.arange(24.0).reshape(1, 2, 3, 4)
    variable = Variable(shown, "kernel", layout=(3, 0, 1, 2))
    assert variable.type.shape == (4, 1, 2, 3)
    assert variable.shape == (1, 2, 3, 4)
    np.testing.assert_array_equal(variable.numpy(), shown)
    np.testing.assert_array_equal(variable.stored(), shown.transpose(3, 0, 1, 2))

    variable.assign(-shown)
    np.testing.assert_array_equal(variable.stored(), -shown.transpose(3, 0, 1, 2))
    with pytest.raises(ShapeError, match=r"\(1, 2, 3, 4\)"):
        variable.assign(shown.transpose(3, 0, 1, 2))
    variable.store(shown.transpose(3, 0, 1, 2))
    np.testing.assert_array_equal(variable.numpy(), shown)


def test_a_home_holds_the_stored_form() -> None:
    class Home:
        array = np.empty(0)

        def read(self, variable: Variable) -> np.ndarray:
            return self.array.copy()

        def write(self, variable: Variable, array: np.ndarray) -> None:
            self.array = array

    home = Home()
    shown = np.arange(6.0).reshape(2, 3)
    variable = Variable(shown, "kernel", layout=(1, 0))
    home.array = variable.move(home)
    np.testing.assert_array_equal(home.array, shown.T)
    np.testing.assert_array_equal(variable.numpy(), shown)
    variable.assign(shown + 1)
    np.testing.assert_array_equal(home.array, shown.T + 1)
