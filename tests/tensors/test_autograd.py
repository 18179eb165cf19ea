"""Gradients that are asked for by name, of gradients, and through hooks, beside PyTorch.

Each program runs on both libraries, and what it yields is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numbanet
from numbanet import autograd, nn
from numbanet.errors import ArgumentError, GraphError, ShapeError
from numbanet.tensors import flush, optimize, program
from tests.nn.parity import close

torch = pytest.importorskip("torch")

Program = Callable[[Any], Iterator[Any]]
CASES: list[tuple[str, Program]] = []


def case(function: Program) -> Program:
    """A program that is run on both libraries."""
    CASES.append((function.__name__, function))
    return function


def drawn(m: Any, *shape: int, seed: int = 0) -> Any:
    array = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return m.from_numpy(array).requires_grad_()


@case
def of_inputs_results_and_several_outputs(m):
    w, x = drawn(m, 3, 4), drawn(m, 5, 3, seed=1)
    h = m.tanh(x @ w)
    yield from m.autograd.grad([h.sum(), (h * h).sum()], [h, w, x], retain_graph=True)
    yield from m.autograd.grad(h, w, m.ones(5, 4) * 2, retain_graph=True)
    yield from m.autograd.grad((h, h.sum()), x, [h.detach(), None])
    yield w.grad is None, x.grad is None


@case
def unused_inputs(m):
    w, x = drawn(m, 3), drawn(m, 2)
    first, second = m.autograd.grad((w * 2).sum(), [w, x], allow_unused=True)
    yield first
    yield second is None
    yield from m.autograd.grad((w * 2).sum(), [w, x], materialize_grads=True)


@case
def higher_orders(m):
    x = drawn(m, 4)
    y = (x**4 + m.sin(x)).sum()
    for _ in range(4):
        (gradient,) = m.autograd.grad(y, x, create_graph=True)
        yield gradient, gradient.requires_grad
        y = gradient.sum()


@case
def gradient_penalty(m):
    critic = m.nn.Sequential(m.nn.Linear(3, 4), m.nn.LeakyReLU(0.2), m.nn.Linear(4, 1))
    filled(critic, m)
    optimizer = m.optim.Adam(critic.parameters(), lr=0.05)
    for step in range(4):
        real, fake = drawn(m, 5, 3, seed=step).detach(), drawn(m, 5, 3, seed=step + 9).detach()
        mixed = (0.3 * real + 0.7 * fake).requires_grad_(True)
        judged = critic(mixed)
        gradients = m.autograd.grad(
            outputs=judged,
            inputs=mixed,
            grad_outputs=m.ones(judged.size()),
            create_graph=True,
            retain_graph=True,
            only_inputs=True,
        )[0]
        penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss, penalty
    yield from critic.parameters()


@case
def learning_to_learn(m):
    weight, bias = drawn(m, 1, 3), drawn(m, 1)
    x, y = drawn(m, 6, 3, seed=2).detach(), drawn(m, 6, 1, seed=3).detach()
    for _ in range(3):
        fast = [weight, bias]
        for _ in range(2):
            loss = m.nn.functional.mse_loss(m.nn.functional.linear(x, *fast), y)
            gradients = m.autograd.grad(loss, fast, create_graph=True)
            fast = [each - 0.1 * g for each, g in zip(fast, gradients, strict=True)]
        m.nn.functional.mse_loss(m.nn.functional.linear(x, *fast), y).backward()
        yield weight.grad, bias.grad
        with m.no_grad():
            for each in (weight, bias):
                each -= 0.1 * each.grad
                each.grad = None


@case
def saliency(m):
    model = filled(m.nn.Sequential(m.nn.Conv2d(1, 2, 3), m.nn.ReLU(), m.nn.Flatten()), m)
    image = drawn(m, 1, 1, 5, 5)
    score = model(image)[0, 3]
    score.backward(inputs=[image])
    yield image.grad, model[0].weight.grad is None


@case
def backward_of_several(m):
    x = drawn(m, 3)
    h = m.exp(x)
    m.autograd.backward([h.sum(), h], [None, m.ones(3) * 2])
    yield x.grad


@case
def a_leaf_that_was_used_elsewhere_meanwhile(m):
    x = drawn(m, 3)
    loss = (x**3).sum()
    with m.no_grad():
        seen = m.exp(x).sum().item() + m.sin(x).sum().item()
    yield from m.autograd.grad(loss, x)
    yield seen


@case
def graph_of_backward(m):
    x = drawn(m, 3)
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    x.grad = None
    (first**2).sum().backward()
    yield first, x.grad


@case
def hooks_of_results(m):
    x, seen = drawn(m, 3), []
    for _ in range(3):
        a = m.sin(x)
        b = m.exp(a)
        a.register_hook(lambda gradient: gradient * 2)
        a.register_hook(lambda gradient: gradient + 1)
        b.register_hook(lambda gradient: seen.append(gradient * 1))
        (a * b).sum().backward()
        yield x.grad, seen[-1]


@case
def hooks_of_leaves(m):
    model = filled(m.nn.Linear(3, 2), m)
    handles = [p.register_hook(lambda g: m.clamp(g, -0.1, 0.2)) for p in model.parameters()]
    optimizer = m.optim.SGD(model.parameters(), lr=0.5)
    x = drawn(m, 4, 3).detach()
    for step in range(5):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        yield model.weight.grad, model.bias.grad
        optimizer.step()
        if step == 2:
            for handle in handles:
                handle.remove()
    yield model.weight


@case
def hooks_that_look(m):
    x, seen = drawn(m, 3), []
    h = m.tanh(x)
    h.register_hook(lambda gradient: seen.append(gradient.sum().item()))
    (h * h).sum().backward()
    yield x.grad, seen[0]


@case
def hooks_come_along_to_another_trace(m):
    x, seen = drawn(m, 3), []
    h = m.tanh(x * 2)
    h.register_hook(lambda gradient: gradient * 3)
    kept = m.sin(h)
    kept.retain_grad()
    other = m.exp(drawn(m, 3, seed=4))
    seen.append(other.sum().item())
    another = m.cos(drawn(m, 3, seed=5))
    (kept * another).sum().backward()
    yield x.grad, kept.grad, seen[0]


@case
def hooks_within_grad(m):
    x = drawn(m, 3)
    h = m.tanh(x)
    h.register_hook(lambda gradient: gradient * gradient)
    loss = (h**3).sum()
    yield from m.autograd.grad(loss, h, retain_graph=True)
    yield from m.autograd.grad(loss, x)


@case
def own_functions(m):
    class LegendrePolynomial3(m.autograd.Function):
        @staticmethod
        def forward(ctx, input):
            ctx.save_for_backward(input)
            return 0.5 * (5 * input**3 - 3 * input)

        @staticmethod
        def backward(ctx, grad_output):
            (input,) = ctx.saved_tensors
            return grad_output * 1.5 * (5 * input**2 - 1)

    a, b = drawn(m, 1), drawn(m, 1, seed=1)
    x = drawn(m, 7, seed=2).detach()
    for _ in range(4):
        loss = (a * LegendrePolynomial3.apply(b * x + a) - x).pow(2).sum()
        loss.backward()
        yield loss, a.grad, b.grad
        with m.no_grad():
            for each in (a, b):
                each -= 1e-3 * each.grad
                each.grad = None


@case
def own_functions_of_several(m):
    class Scaled(m.autograd.Function):
        @staticmethod
        def forward(x, factor, y):
            return x * factor, y * y, (x > 0).sum()

        @staticmethod
        def setup_context(ctx, inputs, output):
            _, ctx.factor, y = inputs
            ctx.save_for_backward(y)

        @staticmethod
        def backward(ctx, first, second, count):
            assert ctx.needs_input_grad == (True, False, True)
            (y,) = ctx.saved_tensors
            return first * ctx.factor * 10, None, second * 2 * y

    x, y = drawn(m, 3), drawn(m, 3, seed=1)
    one, two, count = Scaled.apply(x, 3.0, y)
    yield one, two, count, one.requires_grad, count.requires_grad
    (one * one).sum().backward()
    yield x.grad, y.grad
    one, two, count = Scaled.apply(x, 3.0, y)
    yield from m.autograd.grad((two * one).sum(), [x, y], create_graph=True)


@case
def straight_through(m):
    class Sign(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return m.sign(x)

        @staticmethod
        def backward(ctx, gradient):
            return m.nn.functional.hardtanh(gradient)

    model = filled(m.nn.Linear(3, 2), m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    x = drawn(m, 4, 3).detach()
    for _ in range(3):
        optimizer.zero_grad()
        (Sign.apply(model(x)) * m.ones(4, 2)).sum().backward()
        optimizer.step()
        yield model.weight, model.weight.grad


@case
def hooks_of_modules(m):
    model = filled(m.nn.Sequential(m.nn.Linear(3, 4), m.nn.Tanh(), m.nn.Linear(4, 2)), m)
    seen = []

    def note(module, grad_input, grad_output):
        seen.extend([*grad_input, *grad_output])

    def double(module, grad_input, grad_output):
        return tuple(None if each is None else each * 2 for each in grad_input)

    handle = model[1].register_full_backward_hook(note)
    model[2].register_full_backward_hook(double)
    model[0].register_full_backward_hook(note)
    model[2].register_full_backward_pre_hook(lambda module, found: (found[0] * 3,))
    x = drawn(m, 5, 3).detach()
    for _ in range(3):
        model.zero_grad()
        model(x).square().sum().backward()
        yield [each for each in seen if each is not None]
        yield [each is None for each in seen]
        yield [each.grad for each in model.parameters()]
        seen.clear()
    handle.remove()
    model(x).sum().backward()
    yield len(seen)


@case
def modes(m):
    x = drawn(m, 2)

    def asks():
        return (x * 2).requires_grad

    def counts():
        for _ in range(2):
            got = yield m.is_grad_enabled()
            assert got in (None, "sent")

    def both(function):
        outside = []
        generator = function()
        for value in generator:
            outside += [value, m.is_grad_enabled()]
        return outside

    yield [mode(asks)() for mode in (m.no_grad, m.enable_grad, m.inference_mode)]
    yield [mode()(asks)() for mode in (m.no_grad, m.enable_grad, m.inference_mode)]
    yield [m.inference_mode(on)(asks)() for on in (True, False)]
    yield [m.set_grad_enabled(on)(asks)() for on in (True, False)], m.is_grad_enabled()
    yield both(m.no_grad()(counts)), both(m.set_grad_enabled(False)(counts))
    with m.no_grad():
        yield asks(), m.enable_grad()(asks)(), m.set_grad_enabled(True)(asks)(), asks()
        with m.enable_grad(), m.set_grad_enabled(False):
            yield asks()
        with m.inference_mode(mode=False):
            yield m.is_grad_enabled()
        yield asks()
    switch = m.no_grad()
    with switch:
        yield asks()
    yield asks()
    m.set_grad_enabled(False)
    yield asks()
    m.set_grad_enabled(True)
    yield asks(), m.no_grad(asks).__name__ == "asks"


def filled(module: Any, m: Any) -> Any:
    """``module`` with the same numbers on both libraries."""
    rng = np.random.default_rng(3)
    for parameter in module.parameters():
        numbers = rng.uniform(-0.8, 0.8, tuple(parameter.shape)).astype(np.float32)
        parameter.data.copy_(m.from_numpy(numbers))
    return module


def flat(result: Any) -> Iterator[Any]:
    if isinstance(result, list | tuple):
        for each in result:
            yield from flat(each)
    elif hasattr(result, "detach"):
        # A gradient may change when the next is added.
        yield np.array(result.detach().numpy())
    else:
        yield np.asarray(result)


@pytest.mark.filterwarnings("ignore:Using backward", "ignore:Full backward hook is firing")
@pytest.mark.parametrize(("name", "run"), CASES, ids=[name for name, _ in CASES])
def test_gradients_are_pytorchs(name, run):
    ours = [list(flat(each)) for each in run(numbanet)]
    theirs = [list(flat(each)) for each in run(torch)]
    assert len(ours) == len(theirs)
    for place, (found, expected) in enumerate(zip(ours, theirs, strict=True)):
        assert len(found) == len(expected), place
        for one, other in zip(found, expected, strict=True):
            assert one.shape == other.shape, place
            close(one, other, 1e-4, f"{name}, {place}")


def test_a_loop_with_a_penalty_is_compiled_once(monkeypatch):
    compiled = []
    load = program.load
    for module in (program, flush, optimize):
        monkeypatch.setattr(module, "load", lambda *args: (compiled.append(1), load(*args))[1])
    counts = []
    for _ in gradient_penalty(numbanet):
        counts.append(len(compiled))
    assert counts[2] == counts[3] > 0


def leaf() -> Any:
    return numbanet.ones(3).requires_grad_()


def test_what_cannot_be_differentiated_is_refused():
    x, y = leaf(), leaf()
    with pytest.raises(GraphError, match="requires no gradient"):
        autograd.grad(numbanet.ones(()), x)
    with pytest.raises(GraphError, match="input of grad"):
        autograd.grad(x.sum(), numbanet.ones(3))
    with pytest.raises(GraphError, match="allow_unused"):
        autograd.grad(x.sum(), y)
    with pytest.raises(ShapeError, match="one element"):
        autograd.grad(x * 2, x)
    with pytest.raises(ShapeError, match="shape"):
        autograd.grad(x * 2, x, numbanet.ones(2))
    with pytest.raises(ArgumentError, match="each output"):
        autograd.grad([x * 2, x], x, [numbanet.ones(3)])
    with pytest.raises(NotImplementedError, match="is_grads_batched"):
        autograd.grad(x.sum(), x, is_grads_batched=True)
    loss = (x * x).sum()
    autograd.grad(loss, x)
    with pytest.raises(GraphError, match="differentiated before"):
        autograd.grad(loss, x)
    image: Any = numbanet.ones(1, 1, 4, 4).requires_grad_()
    pooled: Any = nn.functional.max_pool2d(image, 2)
    first: Any = autograd.grad(pooled.square().sum(), image, create_graph=True)[0]
    with pytest.raises(GraphError, match="no gradient"):
        first.sum().backward()


def test_hooks_that_cannot_work_are_refused():
    x, constant = leaf(), leaf().detach()
    with pytest.raises(ArgumentError, match="requires no gradient"):
        constant.register_hook(print)
    with pytest.raises(NotImplementedError, match="argument of its function"):
        x.clone().register_hook(print)
    h = x * 2
    h.register_hook(lambda gradient: gradient.sum())
    with pytest.raises(ArgumentError, match="same type"):
        h.sum().backward()


def test_functions_say_a_gradient_for_each_argument():
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    with pytest.raises(GraphError, match="each argument"):
        Wrong.apply(leaf(), leaf()).sum().backward()
    with pytest.raises(NotImplementedError, match="forward"):
        autograd.Function.apply(leaf())
    with numbanet.no_grad():
        assert not Wrong.apply(leaf(), leaf()).requires_grad
