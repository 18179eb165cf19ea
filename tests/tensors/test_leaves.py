"""Tensors that become leaves, and what may be written to, beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import numbanet
from numbanet import nn, optim

torch = pytest.importorskip("torch")

A = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -2.0]], np.float32)


def asked_late(lib, x):
    """A result is made a leaf; what it was used for before knows nothing of that."""
    x = x * 2
    before = (x * x).sum()
    x.requires_grad_()
    ((x * x * x).sum() + before).backward()
    return x.is_leaf, x.grad


def leaf_asked_late(lib, x):
    before = (x * x).sum()
    x.requires_grad_()
    ((x * x * x).sum() + before).backward()
    return x.is_leaf, x.grad


def optimized_image(lib, x):
    image = x.clone().requires_grad_(True)
    optimizer = lib.optim.SGD([image], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (image * image * x).sum().backward()
        optimizer.step()
        with lib.no_grad():
            image.clamp_(-1, 1)
    return x, image


def copied_without_gradients(lib, x):
    weight = lib.nn.Parameter(x)
    shadow = weight.clone().detach()
    other = weight.detach().clone()
    shadow.mul_(0.5).add_(1)
    other[0] = 7
    return weight, shadow, other


def part_of_a_result(lib, x):
    part = (x + 1)[1]
    part.add_(1)
    part[0] = 5
    return x, part


def forget_bias(lib, x):
    lstm = lib.nn.LSTM(2, 3)
    lstm.bias_ih_l0.data[3:6] = 1
    return lstm.bias_ih_l0[3:6].detach()


def adversarial(lib, x):
    """The gradient of an input, which was computed, and was used before."""
    x = lib.sigmoid(x)
    chosen = x.max(1, keepdim=True)[1]
    x.requires_grad = True
    (x * x).sum().backward()
    x.requires_grad = False
    return chosen, x.grad, x + 0.1 * x.grad.sign()


PROGRAMS = [
    adversarial,
    asked_late,
    leaf_asked_late,
    optimized_image,
    copied_without_gradients,
    part_of_a_result,
    forget_bias,
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_do_as_in_pytorch(program) -> None:
    ours = program(numbanet, numbanet.tensor(A.copy()))
    theirs = program(torch, torch.tensor(A.copy()))
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(b, bool):
            assert a is b
        else:
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    "write",
    [
        lambda p: p.data[0].fill_(1),
        lambda p: p.data.view(-1).zero_(),
        lambda p: p.detach()[0].add_(1),
    ],
)
def test_parts_of_parameters_are_not_written_to(write) -> None:
    parameter = nn.Parameter(numbanet.tensor(A))
    with pytest.raises(NotImplementedError, match="view"):
        write(parameter)
    with numbanet.no_grad():
        parameter.view(-1).sum()
        parameter.add_(1)
    np.testing.assert_array_equal(parameter.detach().numpy(), A + 1)


def test_an_optimizer_takes_what_became_a_leaf() -> None:
    made = numbanet.tensor(A) * 2
    made.requires_grad_()
    assert optim.Adam([made]).param_groups[0]["params"] == [made]
