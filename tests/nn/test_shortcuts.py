"""Modules that are passed by a shortcut: everything that can change between two calls does.

Each loop runs on both libraries, and all numbers are compared. It warms up before the change,
so that a shortcut that does not see the change gives other numbers than PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest

import numbanet
from numbanet.nn import shortcuts
from numbanet.tensors import tree
from numbanet.tensors.trace import ROOT, Record

torch = pytest.importorskip("torch")

WARM = 4
Loop = Callable[[Any], Iterator[Any]]
LOOPS: list[Loop] = []


def changing(loop: Loop) -> Loop:
    LOOPS.append(loop)
    return loop


def network(m: Any, *modules: Any) -> Any:
    made = m.nn.Sequential(*modules) if modules else small(m)
    rng = np.random.default_rng(3)
    for each in made.parameters():
        numbers = rng.uniform(-0.5, 0.5, tuple(each.shape)).astype(np.float32)
        with m.no_grad():
            each.copy_(m.tensor(numbers))
    return made


def small(m: Any) -> Any:
    return m.nn.Sequential(m.nn.Linear(3, 4), m.nn.ReLU(), m.nn.Linear(4, 2))


def batch(m: Any, seed: int, size: int = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 3)).astype(np.float32)
    return m.tensor(x), m.tensor(rng.integers(0, 2, size))


def steps(m: Any, model: Any, optimizer: Any, count: int = WARM, loss: Any = None) -> list[Any]:
    found = []
    loss = loss or m.nn.CrossEntropyLoss()
    for seed in range(count):
        x, y = batch(m, seed)
        optimizer.zero_grad()
        error = loss(model(x), y)
        error.backward()
        optimizer.step()
        found.append(error.item())
    return found


def sgd(m: Any, model: Any) -> Any:
    return m.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


@changing
def a_hook_is_registered_and_removed(m):
    model = network(m)
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    handle = model[1].register_forward_hook(lambda module, args, output: output * 2)
    yield steps(m, model, optimizer)
    handle.remove()
    yield steps(m, model, optimizer)
    model[2].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    yield steps(m, model, optimizer)


@changing
def a_hook_of_the_model_sees_each_call(m):
    model, seen = network(m), []
    optimizer = sgd(m, model)
    steps(m, model, optimizer)
    model.register_forward_hook(lambda module, args, output: seen.append(output.shape[0]))
    steps(m, model, optimizer)
    yield seen


@changing
def a_module_is_replaced(m):
    model = network(m)
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    model[1] = m.nn.Tanh()
    yield steps(m, model, optimizer)
    model.append(m.nn.Sigmoid())
    yield steps(m, model, optimizer)
    del model[3]
    yield steps(m, model, optimizer)
    model._modules["1"] = m.nn.ReLU()
    yield steps(m, model, optimizer)


@changing
def an_attribute_changes(m):
    model = network(m, m.nn.Linear(3, 4), m.nn.LeakyReLU(0.1), m.nn.Linear(4, 2))
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    model[1].negative_slope = 0.5
    yield steps(m, model, optimizer)


@changing
def a_parameter_is_replaced(m):
    model = network(m)
    yield steps(m, model, sgd(m, model))
    model[0].weight = m.nn.Parameter(model[0].weight.detach() * 2)
    yield steps(m, model, sgd(m, model))
    model[2].bias = None
    yield steps(m, model, sgd(m, model))


@changing
def a_parameter_changes_its_numbers(m):
    model = network(m)
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    with m.no_grad():
        model[0].weight.mul_(0.5)
    yield steps(m, model, optimizer)
    model[0].weight.data = model[0].weight.data + 1
    yield steps(m, model, optimizer)
    model.load_state_dict({name: each * 2 for name, each in model.state_dict().items()})
    yield steps(m, model, optimizer)


@changing
def a_parameter_is_frozen_and_thawed(m):
    model = network(m)
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    model[0].weight.requires_grad = False
    model[0].weight.grad = None
    yield steps(m, model, optimizer)
    model[0].requires_grad_(True)
    yield steps(m, model, optimizer)


@changing
def a_model_changes_its_element_type(m):
    model = network(m)
    x, _ = batch(m, 0)
    for _ in range(WARM):
        yield model(x).sum().item()
    model.double()
    for _ in range(WARM):
        yield model(x.double()).sum().item(), str(model(x.double()).dtype)[-7:]


@changing
def evaluation_takes_turns_with_training(m):
    model = network(m, m.nn.Linear(3, 4), m.nn.BatchNorm1d(4), m.nn.ReLU(), m.nn.Linear(4, 2))
    optimizer = sgd(m, model)
    x, y = batch(m, 9)
    for _ in range(3):
        model.train()
        yield steps(m, model, optimizer)
        model.eval()
        with m.no_grad():
            yield [m.nn.functional.cross_entropy(model(x), y).item() for _ in range(WARM)]
        yield steps(m, model, optimizer)


def normalised(m: Any) -> Any:
    return network(m, m.nn.Linear(3, 4), m.nn.BatchNorm1d(4), m.nn.ReLU(), m.nn.Linear(4, 2))


def statistics(model: Any) -> list[Any]:
    return [each.clone() for each in model.buffers()]


@changing
def statistics_move_with_each_batch(m):
    model = normalised(m)
    optimizer = sgd(m, model)
    for size in (5, 5, 5, 5, 3, 5, 5):
        x, y = batch(m, size, size)
        optimizer.zero_grad()
        loss = m.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        yield loss.item(), statistics(model)


@changing
def statistics_move_without_a_step(m):
    model = normalised(m)
    x, _ = batch(m, 0)
    for _ in range(WARM):
        model(x)
    yield statistics(model)
    for _ in range(WARM):
        yield (model(x) + model(x * 2)).sum().item(), statistics(model)


@changing
def statistics_are_set_between(m):
    model = normalised(m)
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    with m.no_grad():
        model[1].running_mean.zero_()
    yield steps(m, model, optimizer), statistics(model)
    model[1].momentum = 0.5
    yield steps(m, model, optimizer), statistics(model)
    model[1].reset_running_stats()
    yield steps(m, model, optimizer), statistics(model)


@changing
def a_normalisation_is_shared(m):
    shared = m.nn.BatchNorm1d(3)
    model = network(m, m.nn.Linear(3, 3), shared, m.nn.Linear(3, 3), shared, m.nn.Linear(3, 2))
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer), statistics(model)
    for _ in range(WARM):
        x, _ = batch(m, 1)
        yield shared(shared(x)).sum().item(), statistics(model)


@changing
def two_models_take_turns(m):
    models = normalised(m), normalised(m)
    optimizers = [sgd(m, each) for each in models]
    for seed in range(2 * WARM):
        x, y = batch(m, seed)
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            loss = m.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            yield loss.item()
    yield [statistics(each) for each in models]


@changing
def a_loss_goes_through_two_models(m):
    first, second = network(m, m.nn.Linear(3, 3), m.nn.BatchNorm1d(3)), normalised(m)
    optimizers = sgd(m, first), sgd(m, second)
    for seed in range(2 * WARM):
        x, y = batch(m, seed)
        loss = m.nn.functional.cross_entropy(second(first(x)), y)
        loss.backward()
        # Every second time the gradients add up, and only one of the optimizers steps.
        if seed % 2:
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        yield loss.item()
    yield statistics(first), statistics(second)


@changing
def gradients_are_switched_off_and_on(m):
    model = network(m)
    x, _ = batch(m, 0)
    for _ in range(3):
        for _ in range(WARM):
            out = model(x)
            out.sum().backward()
        yield model[0].weight.grad.clone()
        with m.no_grad():
            for _ in range(WARM):
                yield model(x).requires_grad


@changing
def a_module_is_shared(m):
    shared = m.nn.Linear(3, 3)
    model = network(m, shared, m.nn.Tanh(), shared, m.nn.Linear(3, 2))
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    for seed in range(WARM):
        x, y = batch(m, seed)
        loss = m.nn.functional.cross_entropy(model(x) + model(x * 2), y) + shared(x).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item(), shared.weight.grad.clone()


@changing
def a_forward_of_somebody_runs_each_time(m):
    class Counting(m.nn.Linear):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return super().forward(x) * type(self).calls

    model = network(m, Counting(3, 4), m.nn.Linear(4, 2))
    yield steps(m, model, sgd(m, model)), Counting.calls


@changing
def a_forward_is_put_on_an_instance(m):
    model = network(m)
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    model[1].forward = m.tanh
    yield steps(m, model, optimizer)
    del model[1].forward
    yield steps(m, model, optimizer)


@changing
def a_forward_of_a_class_is_patched(m):
    model = network(m)
    optimizer = sgd(m, model)
    yield steps(m, model, optimizer)
    with mock.patch.object(m.nn.ReLU, "forward", lambda self, x: x * 3):
        yield steps(m, model, optimizer)
    yield steps(m, model, optimizer)


@changing
def a_module_works_in_place(m):
    model = network(m, m.nn.Linear(3, 4), m.nn.ReLU(inplace=True), m.nn.Linear(4, 2))
    yield steps(m, model, sgd(m, model))
    relu = m.nn.ReLU(inplace=True)
    for _ in range(WARM):
        x = m.tensor([-1.0, 2.0]) * 1
        y = relu(x)
        yield y is x, x


@changing
def views_come_first_in_between_and_last(m):
    model = network(
        m, m.nn.Flatten(), m.nn.Linear(6, 4), m.nn.Unflatten(1, (2, 2)), m.nn.Flatten()
    )
    optimizer = sgd(m, model)
    for _ in range(WARM):
        x = m.tensor(np.arange(12, dtype=np.float32).reshape(2, 2, 3))
        optimizer.zero_grad()
        out = model(x)
        out.sum().backward()
        optimizer.step()
        yield out.detach()


@changing
def shapes_take_turns(m):
    model = network(m)
    loss = m.nn.CrossEntropyLoss()
    optimizer = sgd(m, model)
    for seed in range(3 * WARM):
        x, y = batch(m, seed, 5 if seed % 3 else 2)
        optimizer.zero_grad()
        error = loss(model(x), y)
        error.backward()
        optimizer.step()
        yield error.item()


@changing
def weights_of_a_loss_change(m):
    model = network(m)
    optimizer = sgd(m, model)
    loss = m.nn.CrossEntropyLoss(weight=m.tensor([1.0, 2.0]), ignore_index=1)
    yield steps(m, model, optimizer, loss=loss)
    loss.weight = m.tensor([3.0, 1.0])
    yield steps(m, model, optimizer, loss=loss)
    loss.ignore_index = -100
    yield steps(m, model, optimizer, loss=loss)
    loss.reduction = "sum"
    yield steps(m, model, optimizer, loss=loss)


@changing
def an_input_gets_its_gradient(m):
    model = network(m)
    for seed in range(WARM):
        x, _ = batch(m, seed)
        x.requires_grad_(seed > 2)
        model(x).square().sum().backward()
        yield x.grad, model[0].bias.grad.clone()


@changing
def both_arguments_are_one_tensor_or_two(m):
    loss = m.nn.MSELoss()
    for seed in range(2 * WARM):
        x = m.tensor([float(seed), 2.0], requires_grad=True)
        y = x if seed == 5 else m.tensor([1.0, 1.0], requires_grad=True)
        loss(x, y).backward()
        yield x.grad, y.grad


def flat(yielded: Any) -> list[float]:
    if yielded is None:
        return []
    if isinstance(yielded, list | tuple):
        return [number for each in yielded for number in flat(each)]
    if isinstance(yielded, str):
        return [float(ord(letter)) for letter in yielded]
    if hasattr(yielded, "detach"):
        return yielded.detach().numpy().ravel().tolist()
    return [float(yielded)]


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_what_changes_is_seen(loop):
    ours, theirs = list(loop(numbanet)), list(loop(torch))
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(flat(mine), flat(other), rtol=2e-4, atol=2e-5)


def test_statistics_do_not_move_while_somebody_holds_a_view():
    model = normalised(numbanet)
    x, _ = batch(numbanet, 0)
    for _ in range(WARM):
        model(x).sum().item()
    view = model[1].running_mean[:2]
    with pytest.raises(NotImplementedError, match="view"):
        model(x)
    del view
    model(x).sum().item()


def test_dropout_drops_others_each_time():
    model = numbanet.nn.Sequential(numbanet.nn.Linear(3, 64), numbanet.nn.Dropout(0.5))
    x, _ = batch(numbanet, 0)
    masks = [(model(x).detach().numpy() == 0).tobytes() for _ in range(2 * WARM)]
    assert len(set(masks)) == len(masks)
    assert isinstance(ROOT.ways[model], shortcuts.Shortcut)


def test_a_loop_takes_shortcuts(monkeypatch):
    taken: list[Record] = []
    go = shortcuts.Shortcut.go

    def noting(self, trace, args):
        taken.append(self.record)
        return go(self, trace, args)

    monkeypatch.setattr(shortcuts.Shortcut, "go", noting)
    model = network(numbanet)
    steps(numbanet, model, sgd(numbanet, model), 6)
    # The model and the loss, each from the third time on.
    assert len(taken) == 2 * 4
    assert len(set(taken)) == 2


def test_a_way_that_is_passed_is_as_young_as_its_end(monkeypatch):
    for name in ("following", "ways"):
        monkeypatch.setattr(ROOT, name, {})
    monkeypatch.setattr(tree._Size, "now", 0)
    model = network(numbanet)
    x, _ = batch(numbanet, 0)
    for size in range(1, 12):
        # Others come in between, each once.
        other: Any = numbanet.ones(size)
        (other * 2.0).sum().item()
        model(x).sum().item()
    end = ROOT.ways[model].record
    tree.prune()
    assert end in tree._records()
