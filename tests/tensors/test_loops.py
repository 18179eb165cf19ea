"""The loops that people write, beside PyTorch: the same numbers, and no program twice.

Each loop is a generator that is run on both libraries. What it yields at the end of each
iteration is compared, a tensor not before the loop is over. Where iterations are alike, none
after the fourth compiles.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numbanet
from numbanet.tensors import program

torch = pytest.importorskip("torch")

STEPS = 6
WARM = 4
Loop = Callable[[Any], Iterator[Any]]
REGULAR: list[tuple[str, Loop]] = []
IRREGULAR: list[tuple[str, Loop]] = []


def regular(loop: Loop) -> Loop:
    """Of iterations that are alike."""
    REGULAR.append((loop.__name__, loop))
    return loop


def irregular(loop: Loop) -> Loop:
    """Of iterations that are not."""
    IRREGULAR.append((loop.__name__, loop))
    return loop


def filled(module: Any, m: Any) -> Any:
    """``module`` with the same numbers on both libraries."""
    rng = np.random.default_rng(7)
    state = {
        name: m.tensor(rng.uniform(-0.5, 0.5, tuple(each.shape)).astype(np.float32))
        for name, each in module.state_dict().items()
        if "running" not in name and "tracked" not in name
    }
    module.load_state_dict(state, strict=False)
    return module


def net(m: Any, *extra: Any) -> Any:
    return filled(m.nn.Sequential(m.nn.Linear(3, 4), m.nn.Tanh(), *extra, m.nn.Linear(4, 2)), m)


def batches(m: Any, count: int = STEPS, size: int = 5) -> Iterator[tuple[Any, Any]]:
    rng = np.random.default_rng(1)
    for _ in range(count):
        x = rng.normal(size=(size, 3)).astype(np.float32)
        y = rng.normal(size=(size, 2)).astype(np.float32)
        yield m.tensor(x), m.tensor(y)


def fit(m: Any, model: Any, optimizer: Any, x: Any, y: Any) -> Any:
    optimizer.zero_grad()
    loss = m.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


def numbers(model: Any) -> list[Any]:
    return [each.detach().clone() for each in model.state_dict().values()]


# Losses.


@regular
def plain(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in batches(m):
        yield fit(m, model, optimizer, x, y).item()


@regular
def losses_kept_as_tensors(m):
    model = net(m)
    optimizer = m.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    for x, y in batches(m):
        losses.append(fit(m, model, optimizer, x, y))
        yield losses[-1]
    yield sum(losses) / len(losses), m.stack([each.detach() for each in losses]).mean()


@regular
def total_loss_kept_as_a_tensor(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    total = 0.0
    for x, y in batches(m):
        total += fit(m, model, optimizer, x, y).detach()
        yield None
    yield total / STEPS


@irregular
def total_loss_with_its_graphs(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    total = 0.0
    for x, y in batches(m):
        total += fit(m, model, optimizer, x, y)
    yield total.item()


@regular
def loss_read_before_backward(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        loss = m.nn.functional.mse_loss(model(x), y)
        read = loss.item()
        loss.backward()
        optimizer.step()
        yield read, loss.item()


@regular
def loss_read_before_backward_through_running_averages(m):
    model = net(m, m.nn.BatchNorm1d(4))
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        loss = m.nn.functional.mse_loss(model(x), y)
        read = loss.item()
        (loss * 2).backward()
        optimizer.step()
        yield read, loss.item(), model[2].running_mean.sum().item()


@regular
def loss_skipped_when_not_finite(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for i, (x, y) in enumerate(batches(m)):
        loss = m.nn.functional.mse_loss(model(x), y / (i - 2))
        if not m.isfinite(loss):
            yield None
            continue
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


@regular
def accuracy_beside_the_loss(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    right = count = 0
    for x, y in batches(m):
        labels = y.argmax(dim=1)
        optimizer.zero_grad()
        outputs = model(x)
        loss = m.nn.CrossEntropyLoss()(outputs, labels)
        loss.backward()
        optimizer.step()
        _, predicted = m.max(outputs.data, 1)
        right += (predicted == labels).sum().item()
        count += labels.size(0)
        yield loss.item() * x.size(0), right / count


@regular
def two_losses_backward_each(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        outputs = model(x)
        m.nn.functional.mse_loss(outputs, y).backward(retain_graph=True)
        outputs.abs().mean().backward()
        optimizer.step()
        yield outputs.sum().item()


# Gradients.


@regular
def accumulated_gradients(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        for part, target in zip(x.split(2), y.split(2), strict=True):
            loss = m.nn.functional.mse_loss(model(part), target) / 3
            loss.backward()
        optimizer.step()
        yield loss.item()


@irregular
def accumulated_over_iterations(m):
    model = net(m)
    optimizer = m.optim.Adam(model.parameters(), lr=0.1)
    for i, (x, y) in enumerate(batches(m)):
        loss = m.nn.functional.mse_loss(model(x), y) / 2
        loss.backward()
        if (i + 1) % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        yield loss.item()


@regular
def clipped_gradients(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        loss = m.nn.functional.mse_loss(model(x), y)
        loss.backward()
        norm = m.nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.3)
        m.nn.utils.clip_grad_value_(model.parameters(), 0.1)
        optimizer.step()
        yield norm.item(), loss.item()


@regular
def gradients_changed_by_hand(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        m.nn.functional.mse_loss(model(x), y).backward()
        for parameter in model.parameters():
            parameter.grad.mul_(0.5)
            parameter.grad += 0.01 * parameter.data
        optimizer.step()
        yield sum(each.grad.norm().item() for each in model.parameters())


@regular
def gradients_zeroed_in_place(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad(set_to_none=False)
        loss = m.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        yield loss.item()


@regular
def penalty_of_the_weights(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        penalty = sum(each.pow(2).sum() for each in model.parameters())
        loss = m.nn.functional.mse_loss(model(x), y) + 0.01 * penalty
        loss.backward()
        optimizer.step()
        yield loss.item()


# Several optimizers and models.


@regular
def two_optimizers(m):
    model = net(m)
    first = m.optim.SGD(model[0].parameters(), lr=0.1)
    last = m.optim.Adam(model[2].parameters(), lr=0.01)
    for x, y in batches(m):
        first.zero_grad()
        last.zero_grad()
        loss = m.nn.functional.mse_loss(model(x), y)
        loss.backward()
        first.step()
        last.step()
        yield loss.item()


@regular
def adversaries(m):
    maker = filled(m.nn.Linear(3, 2), m)
    layers = (m.nn.Linear(2, 4), m.nn.LeakyReLU(0.2), m.nn.Linear(4, 1))
    judge = filled(m.nn.Sequential(*layers), m)
    makes = m.optim.Adam(maker.parameters(), lr=0.01, betas=(0.5, 0.999))
    judges = m.optim.Adam(judge.parameters(), lr=0.01, betas=(0.5, 0.999))
    criterion = m.nn.BCEWithLogitsLoss()
    for x, real in batches(m):
        ones, zeros = m.ones(x.size(0), 1), m.zeros(x.size(0), 1)
        fake = maker(x)
        judges.zero_grad()
        judged = criterion(judge(real), ones) + criterion(judge(fake.detach()), zeros)
        judged.backward()
        judges.step()
        makes.zero_grad()
        made = criterion(judge(fake), ones)
        made.backward()
        makes.step()
        yield judged.item(), made.item()


@regular
def teacher_and_student(m):
    teacher, student = net(m), net(m)
    for parameter in teacher.parameters():
        parameter.requires_grad = False
    optimizer = m.optim.SGD(student.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        with m.no_grad():
            target = teacher(x) + y
        loss = m.nn.functional.mse_loss(student(x), target)
        loss.backward()
        optimizer.step()
        yield loss.item()


@regular
def average_of_the_weights_by_hand(m):
    model = net(m)
    average = copy.deepcopy(model)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        loss = fit(m, model, optimizer, x, y)
        with m.no_grad():
            for ema, parameter in zip(average.parameters(), model.parameters(), strict=True):
                ema.mul_(0.9).add_(parameter.data, alpha=0.1)
        yield loss.item()
    yield numbers(average)


@regular
def average_of_the_weights_as_bare_tensors(m):
    model = net(m)
    shadow = {name: each.data.clone() for name, each in model.named_parameters()}
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        loss = fit(m, model, optimizer, x, y)
        for name, each in model.named_parameters():
            shadow[name] = 0.9 * shadow[name] + 0.1 * each.data
        yield loss.item()
    yield list(shadow.values())


# Rates and schedules.


@regular
def rate_of_every_batch(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = m.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=STEPS)
    for x, y in batches(m):
        loss = fit(m, model, optimizer, x, y)
        schedule.step()
        yield loss.item(), schedule.get_last_lr()[0]


@regular
def rate_set_by_hand(m):
    model = net(m)
    optimizer = m.optim.AdamW(model.parameters(), lr=0.1)
    for i, (x, y) in enumerate(batches(m)):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (i + 1)
        yield fit(m, model, optimizer, x, y).item()


@regular
def rate_by_the_validation_loss(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.5)
    schedule = m.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for x, y in batches(m):
        loss = fit(m, model, optimizer, x, y)
        schedule.step(loss.item())
        yield loss.item(), optimizer.param_groups[0]["lr"]


@regular
def factor_of_the_loss_that_changes(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for i, (x, y) in enumerate(batches(m)):
        optimizer.zero_grad()
        outputs = model(x)
        kept = m.nn.functional.mse_loss(outputs, y)
        loss = kept * (0.9**i) + (1 - 0.9**i) * outputs.abs().mean()
        loss.backward()
        optimizer.step()
        yield loss.item()


# Epochs.


@regular
def validation_within_the_epoch(m):
    model = net(m, m.nn.Dropout(0.0), m.nn.BatchNorm1d(4))
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(STEPS):
        model.train()
        running = 0.0
        for x, y in batches(m, 2):
            running += fit(m, model, optimizer, x, y).item() * x.size(0)
        model.eval()
        total = 0.0
        with m.no_grad():
            for x, y in batches(m, 3):
                total += m.nn.functional.mse_loss(model(x), y).item()
        yield running, total
    yield numbers(model)


@regular
def ragged_last_batch(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(8, 3)).astype("f"), rng.normal(size=(8, 2)).astype("f")
    for _ in range(STEPS):
        total = 0.0
        for start in range(0, 8, 3):
            part = slice(start, start + 3)
            loss = fit(m, model, optimizer, m.tensor(x[part]), m.tensor(y[part]))
            total += loss.item()
        yield total


@irregular
def sequences_of_varying_length(m):
    cell = filled(m.nn.RNNCell(3, 4), m)
    optimizer = m.optim.SGD(cell.parameters(), lr=0.1)
    for i, (x, _) in enumerate(batches(m)):
        optimizer.zero_grad()
        state = m.zeros(5, 4)
        for _ in range(1 + i % 3):
            state = cell(x, state)
        loss = state.pow(2).mean()
        loss.backward()
        optimizer.step()
        yield loss.item()


@irregular
def frozen_and_thawed(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for i, (x, y) in enumerate(batches(m)):
        model[0].requires_grad_(i not in (1, 2))
        yield fit(m, model, optimizer, x, y).item(), model[0].weight.grad is None
    yield numbers(model)


@regular
def frozen_features(m):
    model = net(m)
    for parameter in model[0].parameters():
        parameter.requires_grad = False
    trainable = [each for each in model.parameters() if each.requires_grad]
    optimizer = m.optim.SGD(trainable, lr=0.1)
    for x, y in batches(m):
        yield fit(m, model, optimizer, x, y).item()
    yield numbers(model)


@irregular
def group_added_on_the_way(m):
    model = net(m)
    optimizer = m.optim.Adam(model[2].parameters(), lr=0.1)
    for i, (x, y) in enumerate(batches(m)):
        if i == 2:
            optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})
        yield fit(m, model, optimizer, x, y).item()
    yield numbers(model)


@irregular
def weights_loaded_on_the_way(m):
    model = net(m)
    optimizer = m.optim.Adam(model.parameters(), lr=0.1)
    best, kept = float("inf"), {}
    for i, (x, y) in enumerate(batches(m)):
        loss = fit(m, model, optimizer, x, y).item()
        if loss < best and i < 3:
            best, kept = loss, copy.deepcopy(model.state_dict())
        if i == 3:
            model.load_state_dict(kept)
        yield loss
    yield numbers(model)


@irregular
def stopped_and_resumed(m):
    kept = {}
    for half in range(2):
        model = net(m)
        optimizer = m.optim.Adam(model.parameters(), lr=0.1)
        schedule = m.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        if kept:
            model.load_state_dict(kept["model"])
            optimizer.load_state_dict(kept["optimizer"])
            schedule.load_state_dict(kept["schedule"])
        for x, y in list(batches(m))[half * 3 : half * 3 + 3]:
            loss = fit(m, model, optimizer, x, y)
            schedule.step()
            yield loss.item()
        kept = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
        }
    yield numbers(model)


# What forward may do.


@irregular
def branches_on_values(m):
    class Branching(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = m.nn.Linear(3, 2), m.nn.Linear(3, 2)

        def forward(self, x):
            return self.a(x) if x.sum() > 0 else self.b(x)

    model = filled(Branching(), m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        yield fit(m, model, optimizer, x, y).item()
    yield numbers(model)


@irregular
def branches_on_activations(m):
    first, last = filled(m.nn.Linear(3, 4), m), filled(m.nn.Linear(4, 2), m)
    optimizer = m.optim.SGD([*first.parameters(), *last.parameters()], lr=0.1)

    def model(x):
        hidden = m.tanh(first(x))
        while hidden.abs().max() > 0.5:
            hidden = hidden * 0.5
        return last(hidden)

    for x, y in batches(m):
        yield fit(m, model, optimizer, x, y).item()


@irregular
def python_chance_and_counters(m):
    class Stochastic(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = m.nn.ModuleList([m.nn.Linear(3, 3) for _ in range(3)])
            self.last = m.nn.Linear(3, 2)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            for layer in self.layers:
                if chance.random() < 0.5:
                    x = x + layer(x)
            return self.last(x) / self.calls

    chance = random.Random(5)
    model = filled(Stochastic(), m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        yield fit(m, model, optimizer, x, y).item()
    yield model.calls


@regular
def tied_weights(m):
    class Tied(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = m.nn.Embedding(7, 4)
            self.out = m.nn.Linear(4, 7, bias=False)
            self.out.weight = self.embedding.weight

        def forward(self, ids):
            return self.out(self.embedding(ids).mean(1))

    model = filled(Tied(), m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.5)
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        ids, labels = rng.integers(7, size=(5, 3)), rng.integers(7, size=5)
        optimizer.zero_grad()
        loss = m.nn.functional.cross_entropy(model(m.tensor(ids)), m.tensor(labels))
        loss.backward()
        optimizer.step()
        yield loss.item()
    yield model.out.weight is model.embedding.weight


@regular
def state_carried_over(m):
    rnn = filled(m.nn.LSTM(3, 4, batch_first=True), m)
    head = filled(m.nn.Linear(4, 2), m)
    optimizer = m.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.1)
    state = (m.zeros(1, 5, 4), m.zeros(1, 5, 4))
    for x, y in batches(m):
        state = tuple(each.detach() for each in state)
        optimizer.zero_grad()
        out, state = rnn(x.unsqueeze(1), state)
        loss = m.nn.functional.mse_loss(head(out[:, -1]), y)
        loss.backward()
        optimizer.step()
        yield loss.item()


@regular
def greedy_decoding(m):
    cell = filled(m.nn.GRUCell(4, 4), m)
    table = filled(m.nn.Embedding(6, 4), m)
    with m.no_grad():
        for start in range(STEPS):
            token, state = m.tensor([start % 6]), m.zeros(1, 4)
            for _ in range(4):
                state = cell(table(token), state)
                token = (state @ table.weight.T).argmax(-1)
            yield token.item()


@regular
def hooks_that_read(m):
    model = net(m)
    seen = {}
    model[1].register_forward_hook(lambda module, args, out: seen.update(hidden=out.detach()))
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        loss = fit(m, model, optimizer, x, y)
        yield loss.item(), seen["hidden"].mean().item(), seen["hidden"]


# Without an optimizer.


@regular
def descent_by_hand(m):
    model = net(m)
    for x, y in batches(m):
        loss = m.nn.functional.mse_loss(model(x), y)
        model.zero_grad()
        loss.backward()
        with m.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
        yield loss.item()
    yield numbers(model)


@regular
def descent_through_data(m):
    model = net(m)
    for x, y in batches(m):
        loss = m.nn.functional.mse_loss(model(x), y)
        model.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            parameter.data.sub_(parameter.grad.data * 0.1)
        yield loss.item()
    yield numbers(model)


@regular
def descent_by_assignment_to_data(m):
    model = net(m)
    for x, y in batches(m):
        loss = m.nn.functional.mse_loss(model(x), y)
        model.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            parameter.data = parameter.data - 0.1 * parameter.grad
        yield loss.item()
    yield numbers(model)


@regular
def descent_on_bare_tensors(m):
    w = m.tensor(np.full((3, 2), 0.1, "f"), requires_grad=True)
    b = m.zeros(2, requires_grad=True)
    for x, y in batches(m):
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        with m.no_grad():
            w -= 0.1 * w.grad
            b -= 0.1 * b.grad
            w.grad.zero_()
            b.grad = None
        yield loss.item()
    yield w.detach(), b.detach()


@regular
def descent_at_a_rate_that_changes(m):
    model = net(m)
    for i, (x, y) in enumerate(batches(m)):
        loss = m.nn.functional.mse_loss(model(x), y) * (1 + i)
        model.zero_grad()
        loss.backward()
        with m.no_grad():
            for parameter in model.parameters():
                parameter.add_(parameter.grad, alpha=-0.1 / (i + 1))
        yield loss.item()
    yield numbers(model)


@regular
def noise_of_changing_size(m):
    model = net(m)
    noise = m.tensor(np.full((5, 3), 0.5, "f"))
    with m.no_grad():
        for i, (x, _) in enumerate(batches(m)):
            a, b = m.tensor(0.9**i).sqrt(), 1 - 0.9**i
            noisy = a * x + b * noise
            mask = noisy > 0.1 * i
            kept = m.where(mask, noisy.clamp(-1.0 - i, 1.0 + i), 0.3 * i)
            yield (
                model(kept.masked_fill(mask, 0.1 * i)).sum().item(),
                (x / (i + 1)).dtype.itemsize,
            )


@regular
def gradients_looked_at_after_the_step(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in batches(m):
        fit(m, model, optimizer, x, y)
        yield [each.grad.clone() for each in model.parameters()]


@irregular
def gradients_looked_at_now_and_then(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for i, (x, y) in enumerate(batches(m)):
        fit(m, model, optimizer, x, y)
        yield model[2].weight.grad.norm().item() if i % 3 == 1 else None
    yield model[0].bias.grad


@regular
def gradients_held_while_others_come(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    held = []
    for x, y in batches(m):
        fit(m, model, optimizer, x, y)
        held.append(model[0].weight.grad)
        yield None
    yield held


@irregular
def gradients_never_zeroed(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        m.nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        yield None
    yield [each.grad for each in model.parameters()]


@regular
def gradients_seen_before_the_step_and_after_it(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        m.nn.functional.mse_loss(model(x), y).backward()
        gradient = model[0].weight.grad
        optimizer.step()
        assert model[0].weight.grad is gradient
        yield gradient, model[2].weight.grad.abs().sum()


@regular
def gradients_of_parameters_that_no_optimizer_has(m):
    model = net(m)
    optimizer = m.optim.SGD(model[2].parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        m.nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        yield None
    yield [each.grad for each in model.parameters()]


@regular
def gradients_of_two_traces_in_one_step(m):
    model, other = net(m), net(m)
    optimizer = m.optim.SGD([*model.parameters(), *other.parameters()], lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        first = m.nn.functional.mse_loss(model(x), y)
        yield first.item()
        second = m.nn.functional.mse_loss(other(x), y)
        second.backward()
        first.backward()
        optimizer.step()
    yield numbers(model), numbers(other)


@regular
def a_validation_between_backward_and_step(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):
        optimizer.zero_grad()
        m.nn.functional.mse_loss(model(x), y).backward()
        with m.no_grad():
            yield model(x * 2).sum().item()
        optimizer.step()


@regular
def gradients_as_one_vector(m):
    model = net(m)
    to_vector = m.nn.utils.parameters_to_vector
    for x, y in batches(m):
        model.zero_grad()
        loss = m.nn.functional.mse_loss(model(x), y)
        loss.backward()
        with m.no_grad():
            flat = to_vector(model.parameters())
            slope = to_vector([each.grad for each in model.parameters()])
            m.nn.utils.vector_to_parameters(flat - 0.1 * slope, model.parameters())
        yield loss.item()
    yield numbers(model)


@regular
def clamped_weights(m):
    model = net(m)
    optimizer = m.optim.RMSprop(model.parameters(), lr=0.1)
    for x, y in batches(m):
        loss = fit(m, model, optimizer, x, y)
        for parameter in model.parameters():
            parameter.data.clamp_(-0.3, 0.3)
        yield loss.item()
    yield numbers(model)


@regular
def steps_with_a_closure(m):
    model = net(m)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(m):

        def closure(x=x, y=y):
            optimizer.zero_grad()
            loss = m.nn.functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        yield optimizer.step(closure).item()


@regular
def inputs_that_are_trained(m):
    model = net(m).requires_grad_(False)
    image = m.tensor(np.full((5, 3), 0.2, "f"), requires_grad=True)
    optimizer = m.optim.Adam([image], lr=0.1)
    for _, y in batches(m):
        yield fit(m, lambda _: model(image), optimizer, None, y).item()
    yield image.detach()


@regular
def gradient_of_the_input(m):
    model = net(m)
    for x, y in batches(m):
        x.requires_grad = True
        model.zero_grad()
        m.nn.functional.mse_loss(model(x), y).backward()
        attacked = x + 0.1 * x.grad.sign()
        yield model(attacked).sum().item(), x.grad


OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("ASGD", {"lr": 0.1, "t0": 5}),
    ("Adadelta", {}),
    ("Adagrad", {"lr": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05}),
    ("Adamax", {"lr": 0.05}),
    ("NAdam", {"lr": 0.05}),
    ("RAdam", {"lr": 0.05}),
    ("RMSprop", {"lr": 0.01, "centered": True}),
    ("Rprop", {"lr": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
]
SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 3}),
    ("MultiStepLR", {"milestones": [3, 5]}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 6}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 20}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3}),
    ("LinearLR", {}),
    ("ConstantLR", {}),
    ("PolynomialLR", {"total_iters": 9}),
    ("LambdaLR", {"lr_lambda": lambda step: 1 / (1 + step)}),
    ("MultiplicativeLR", {"lr_lambda": lambda step: 0.95}),
]


def optimized(m: Any, name: str, options: dict[str, Any], schedule: Any) -> Iterator[Any]:
    """Twenty steps in a real loop."""
    model = net(m)
    optimizer = getattr(m.optim, name)(model.parameters(), **options)
    scheduler = schedule(m, optimizer)
    for x, y in batches(m, 20):
        yield fit(m, model, optimizer, x, y).item()
        if scheduler is not None:
            scheduler.step()


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_optimizers_in_a_loop(name: str, options: dict[str, Any]) -> None:
    def run(m: Any) -> list[Any]:
        return list(optimized(m, name, options, lambda m, optimizer: None))

    _compare(run(numbanet), run(torch))


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_schedules_in_a_loop(name: str, options: dict[str, Any], compiled: list[Any]) -> None:
    def schedule(m: Any, optimizer: Any) -> Any:
        return getattr(m.optim.lr_scheduler, name)(optimizer, **options)

    def run(m: Any) -> list[Any]:
        return list(optimized(m, "SGD", {"lr": 0.1, "momentum": 0.9}, schedule))

    _compare(run(numbanet), run(torch))
    assert len(compiled) <= 3


def _run(loop: Loop, m: Any) -> list[Any]:
    return list(loop(m))


def _flat(result: Any) -> Iterator[Any]:
    if isinstance(result, list | tuple):
        for each in result:
            yield from _flat(each)
    elif result is not None:
        array = getattr(result, "detach", lambda: result)()
        yield array.numpy() if hasattr(array, "numpy") else array


def _compare(found: list[Any], expected: list[Any]) -> None:
    mine, others = list(_flat(found)), list(_flat(expected))
    assert len(mine) == len(others) > 0
    for i, (a, b) in enumerate(zip(mine, others, strict=True)):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6, err_msg=f"number {i}")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was compiled so far."""
    seen: list[Any] = []
    compile_program = program.compile_program

    def compile_and_note(graph: Any, device: Any) -> Any:
        seen.append(graph)
        return compile_program(graph, device)

    monkeypatch.setattr(program, "compile_program", compile_and_note)
    return seen


@pytest.mark.parametrize("loop", [each for _, each in REGULAR], ids=[n for n, _ in REGULAR])
def test_regular_loops_equal_pytorchs_and_compile_once(loop: Loop, compiled: list[Any]) -> None:
    found, programs = [], []
    for result in loop(numbanet):
        found.append(result)
        programs.append(len(compiled))
    _compare(found, _run(loop, torch))
    assert programs[STEPS - 1] == programs[WARM - 1], programs


@pytest.mark.parametrize("loop", [each for _, each in IRREGULAR], ids=[n for n, _ in IRREGULAR])
def test_irregular_loops_equal_pytorchs(loop: Loop) -> None:
    _compare(_run(loop, numbanet), _run(loop, torch))
