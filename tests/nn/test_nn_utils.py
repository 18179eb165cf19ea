"""Clipping and vectors of parameters against PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet.errors import ArgumentError, NonFiniteError, ShapeError
from numbanet.nn import utils
from numbanet.tensors.tensor import Tensor
from tests.nn.twins import OURS, THEIRS

torch = pytest.importorskip("torch")

SHAPES = [(3, 2), (), (1,), (2, 1, 3), (4,)]


def pairs(dtype: str = "float64") -> tuple[list[Any], list[Any]]:
    """Parameters with gradients, ours and PyTorch's; the last has none."""
    generator = np.random.default_rng(0)
    ours, theirs = [], []
    for shape in SHAPES:
        numbers, gradient = (
            np.asarray(generator.normal(size=shape) * 3, dtype) for _ in range(2)
        )
        ours.append(nn.Parameter(numbers))
        theirs.append(torch.nn.Parameter(torch.tensor(numbers)))
        if shape != SHAPES[-1]:
            ours[-1].grad = Tensor.wrap(gradient.copy())
            theirs[-1].grad = torch.tensor(gradient)
    return ours, theirs


def compare_gradients(ours: list[Any], theirs: list[Any], tolerance: float) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        if other.grad is None:
            assert mine.grad is None
        else:
            np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), rtol=tolerance)


ORDERS = [2.0, 1, math.inf, -math.inf, 3, 0.5]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("max_norm", [0.5, 1000])
def test_clip_grad_norm(order: float, max_norm: float) -> None:
    ours, theirs = pairs()
    norm = utils.clip_grad_norm_(ours, max_norm, order)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, order)
    assert norm.item() == pytest.approx(expected.item(), rel=1e-12)
    assert not norm.requires_grad
    compare_gradients(ours, theirs, 1e-12)


def test_clip_grad_norm_in_float32_and_of_one_parameter() -> None:
    ours, theirs = pairs("float32")
    norm = utils.clip_grad_norm_(ours[0], 1.0)
    expected = torch.nn.utils.clip_grad_norm_(theirs[0], 1.0)
    assert norm.item() == pytest.approx(expected.item(), rel=1e-6)
    compare_gradients(ours, theirs, 1e-5)


def test_clip_grad_norm_takes_a_generator() -> None:
    net = OURS.Net()
    for parameter in net.parameters():
        parameter.grad = Tensor.wrap(np.ones(parameter.shape, np.float32))
    norm = utils.clip_grad_norm_(net.parameters(), 1.0)
    assert norm.item() == pytest.approx(math.sqrt(40))
    assert net.own.grad.numpy()[0, 0] == pytest.approx(40**-0.5, rel=1e-5)


def test_clipping_between_backward_and_the_next_step_is_recorded() -> None:
    net = nn.Sequential(OURS.Linear(3, 4), OURS.Linear(4, 2))
    peer = torch.nn.Sequential(THEIRS.Linear(3, 4), THEIRS.Linear(4, 2))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    for _ in range(3):
        net.zero_grad()
        peer.zero_grad()
        net(Tensor.wrap(x)).sum().backward()
        peer(torch.from_numpy(x)).sum().backward()
        norm = utils.clip_grad_norm_(net.parameters(), 0.1)
        expected = torch.nn.utils.clip_grad_norm_(peer.parameters(), 0.1)
        assert norm.numbers is None  # Nobody has looked.
        assert norm.item() == pytest.approx(expected.item(), rel=1e-5)
        for mine, other in zip(net.parameters(), peer.parameters(), strict=True):
            np.testing.assert_allclose(
                mine.grad.numpy(), other.grad.numpy(), rtol=1e-4, atol=1e-7
            )


def test_the_norm_and_the_clipping_apart() -> None:
    ours, theirs = pairs()
    norm = utils.get_total_norm([p.grad for p in ours[:2]])
    expected = torch.nn.utils.get_total_norm([p.grad for p in theirs[:2]])
    assert norm.item() == pytest.approx(expected.item(), rel=1e-12)
    utils.clip_grads_with_norm_(ours, 0.5, norm)
    torch.nn.utils.clip_grads_with_norm_(theirs, 0.5, expected)
    compare_gradients(ours, theirs, 1e-12)


def test_clip_grad_norm_without_gradients() -> None:
    assert utils.clip_grad_norm_([], 1.0).item() == 0.0
    assert utils.clip_grad_norm_([nn.Parameter(np.ones(2))], 1.0).item() == 0.0
    utils.clip_grad_value_([], 1.0)


def test_a_norm_that_is_not_finite() -> None:
    ours, theirs = pairs()
    for each in (ours[0], theirs[0]):
        broken = np.full((3, 2), np.nan)
        each.grad = Tensor.wrap(broken) if each is ours[0] else torch.tensor(broken)
    before = ours[1].grad
    with pytest.raises(NonFiniteError, match="not finite"):
        utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    assert ours[1].grad is before
    assert math.isnan(utils.clip_grad_norm_(ours, 1.0).item())
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    compare_gradients(ours, theirs, 1e-12)


def test_the_norm_of_order_zero_is_named() -> None:
    with pytest.raises(NotImplementedError, match="norm_type"):
        utils.clip_grad_norm_(pairs()[0], 1.0, 0)


@pytest.mark.parametrize("value", [0.5, 100])
def test_clip_grad_value(value: float) -> None:
    ours, theirs = pairs()
    assert utils.clip_grad_value_(ours, value) is None
    torch.nn.utils.clip_grad_value_(theirs, value)
    compare_gradients(ours, theirs, 1e-12)


def test_parameters_to_vector_and_back() -> None:
    ours, theirs = pairs()
    vector = utils.parameters_to_vector(ours)
    expected = torch.nn.utils.parameters_to_vector(theirs)
    np.testing.assert_array_equal(vector.array(), expected.detach().numpy())
    assert vector.requires_grad
    utils.vector_to_parameters(Tensor.wrap(2 * vector.array()), iter(ours))
    torch.nn.utils.vector_to_parameters(2 * expected.detach(), theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.array(), other.detach().numpy())
        assert mine.requires_grad


def test_gradients_go_through_the_vector() -> None:
    ours, theirs = pairs()
    for parameters, library in ((ours, utils), (theirs, torch.nn.utils)):
        for parameter in parameters:
            parameter.grad = None
        vector = library.parameters_to_vector(parameters)
        (vector * vector).sum().backward()
    compare_gradients(ours, theirs, 1e-12)


def test_a_layout_is_not_seen_in_the_vector() -> None:
    numbers = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    kernel = nn.Parameter(numbers, layout=(0, 2, 3, 1))
    vector = utils.parameters_to_vector([kernel])
    np.testing.assert_array_equal(vector.array(), np.arange(24))
    utils.vector_to_parameters(Tensor.wrap(vector.array() + 1), [kernel])
    np.testing.assert_array_equal(kernel.array(), numbers + 1)


def test_vectors_that_do_not_fit() -> None:
    ours, _ = pairs()
    before = ours[0].array()
    for size in (3, 99):
        with pytest.raises(ShapeError, match="elements"):
            utils.vector_to_parameters(Tensor.wrap(np.zeros(size)), ours)
    np.testing.assert_array_equal(ours[0].array(), before)
    with pytest.raises(TypeError, match="tensor"):
        utils.vector_to_parameters(np.zeros(18), ours)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="needs a parameter"):
        utils.parameters_to_vector([])
