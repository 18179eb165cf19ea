"""Ways of training, as people write them in PyTorch."""

# ruff: noqa: B007, B905, N806, N812, PT018

import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import BatchSampler, DataLoader, TensorDataset, WeightedRandomSampler


def distillation(run):
    teacher = run.start(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)))
    student = run.start(nn.Sequential(nn.Linear(4, 3)))
    teacher.eval()
    student.train()
    x, y, T = run.drawn(5, 4), run.labels(3, 5), 2
    ce_loss = nn.CrossEntropyLoss()
    optimizer = optim.Adam(student.parameters(), lr=0.01)
    running = 0.0
    for _ in range(5):
        optimizer.zero_grad()
        with torch.no_grad():
            teacher_logits = teacher(x)
        student_logits = student(x)
        soft_targets = nn.functional.softmax(teacher_logits / T, dim=-1)
        soft_prob = nn.functional.log_softmax(student_logits / T, dim=-1)
        soft_targets_loss = (
            torch.sum(soft_targets * (soft_targets.log() - soft_prob))
            / soft_prob.size()[0]
            * (T**2)
        )
        kl = nn.KLDivLoss(reduction="batchmean")(soft_prob, soft_targets)
        label_loss = ce_loss(student_logits, y)
        loss = 0.25 * soft_targets_loss + 0.75 * label_loss + 0.1 * kl
        loss.backward()
        optimizer.step()
        running += loss.item()
    return running, [p.grad is None for p in teacher.parameters()]


def resume(run):
    def make():
        model = nn.Sequential(
            nn.Linear(3, 5, bias=False), nn.BatchNorm1d(5), nn.ELU(), nn.Linear(5, 1)
        )
        optimizer = optim.AdamW(model.parameters(), lr=0.1)
        scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=8)
        return model, optimizer, scheduler

    def train(model, optimizer, scheduler, steps):
        losses = []
        for step in range(steps):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            norm = clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            scheduler.step()
            losses.append((loss.item(), norm.item(), optimizer.param_groups[0]["lr"]))
        return losses

    x, y = run.drawn(6, 3), run.drawn(6, 1, seed=2)
    model, optimizer, scheduler = make()
    run.start(model)
    first = train(model, optimizer, scheduler, 3)
    checkpoint = {
        "epoch": 3,
        "model_state_dict": copy.deepcopy(model.state_dict()),
        "optimizer_state_dict": copy.deepcopy(optimizer.state_dict()),
        "scheduler": scheduler.state_dict().copy(),
    }
    rest = train(model, optimizer, scheduler, 3)
    again, optimizer, scheduler = make()
    again.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    resumed = train(again, optimizer, scheduler, 3)
    assert np.allclose(rest, resumed)
    return first, rest, checkpoint["epoch"], sorted(checkpoint["optimizer_state_dict"])


def samplers(run):
    x, y = run.drawn(8, 2), run.labels(2, 8)
    weights = 1.0 / torch.bincount(y).float()
    sampler = WeightedRandomSampler(weights[y], num_samples=8, replacement=True)
    loader = DataLoader(TensorDataset(x, y), batch_size=4, sampler=sampler)
    assert len(loader) == 2 and all(len(b) == 2 for b in loader)
    model = run.start(nn.Linear(2, 2))
    loader = DataLoader(
        TensorDataset(x, y),
        batch_sampler=BatchSampler(range(8), 3, drop_last=True),
    )
    optimizer = optim.Adagrad(model.parameters(), lr=0.1)
    losses = []
    for data, target in loader:
        optimizer.zero_grad()
        output = F.log_softmax(model(data), dim=1)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    test_loss, correct = 0, 0
    model.eval()
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    return losses, test_loss / len(loader.dataset), correct


def by_hand(run):
    x = torch.linspace(-math.pi, math.pi, 20)
    y = torch.sin(x)
    a = torch.tensor(0.1, requires_grad=True)
    b = torch.tensor(0.2, requires_grad=True)
    c = torch.full((), -0.1, requires_grad=True)
    d = torch.zeros((), requires_grad=True)
    learning_rate = 1e-4
    losses = []
    for t in range(5):
        y_pred = a + b * x + c * x**2 + d * x**3
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            a -= learning_rate * a.grad
            b -= learning_rate * b.grad
            c -= learning_rate * c.grad
            d -= learning_rate * d.grad
            a.grad = None
            b.grad = None
            c.grad = None
            d.grad.zero_()
    return losses, f"{a.item():.4f} + {b.item():.4f} x", a, b, c, d


class Polynomial3(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.randn(()))
        self.b = torch.nn.Parameter(torch.randn(()))

    def forward(self, x):
        return self.a + self.b * x

    def string(self):
        return f"y = {self.a.item():.3f} + {self.b.item():.3f} x"


def polynomial(run):
    x = torch.linspace(-math.pi, math.pi, 20)
    y = torch.sin(x)
    p = torch.tensor([1, 2, 3])
    xx = x.unsqueeze(-1).pow(p)
    first = run.start(torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1)))
    loss_fn = torch.nn.MSELoss(reduction="sum")
    learning_rate = 1e-5
    losses = []
    for t in range(4):
        y_pred = first(xx)
        loss = loss_fn(y_pred, y)
        losses.append(loss.item())
        first.zero_grad()
        loss.backward()
        with torch.no_grad():
            for param in first.parameters():
                param -= learning_rate * param.grad
    model = run.start(Polynomial3())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    losses += run.fit(model, optimizer, lambda m: loss_fn(m(x), y))
    return losses, model.string()


def freezing(run):
    backbone = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5))
    for param in backbone.parameters():
        param.requires_grad = False
    backbone[2] = nn.Linear(6, 3)
    run.start(backbone)
    before = backbone[0].weight.clone()
    optimizer = optim.SGD(
        filter(lambda p: p.requires_grad, backbone.parameters()), lr=0.1, momentum=0.9
    )
    x, y = run.drawn(4, 4), run.labels(3, 4)
    losses = run.fit(backbone, optimizer, lambda m: F.cross_entropy(m(x), y), 3)
    assert torch.equal(before, backbone[0].weight)
    for param in backbone.parameters():
        param.requires_grad_(True)
    optimizer.add_param_group({"params": backbone[0].parameters(), "lr": 0.01})
    losses += run.fit(backbone, optimizer, lambda m: F.cross_entropy(m(x), y), 3)
    total = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    return losses, total, [group["lr"] for group in optimizer.param_groups]


class EMA:
    def __init__(self, model, decay):
        self.model = copy.deepcopy(model)
        self.model.eval()
        self.decay = decay
        for p in self.model.parameters():
            p.requires_grad_(False)

    def update(self, model):
        with torch.no_grad():
            for ema_v, model_v in zip(
                self.model.state_dict().values(), model.state_dict().values()
            ):
                ema_v.copy_(self.decay * ema_v + (1.0 - self.decay) * model_v)


def moving_average(run):
    model = run.start(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1)))
    ema = EMA(model, 0.9)
    shadow = {name: p.clone().detach() for name, p in model.named_parameters()}
    optimizer = optim.RAdam(model.parameters(), lr=0.05)
    x, y = run.drawn(4, 3), run.drawn(4, 1, seed=2)
    for _ in range(4):
        loss = F.huber_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update(model)
        for name, p in model.named_parameters():
            shadow[name].mul_(0.9).add_(p.data, alpha=0.1)
    return ema.model(x), ema.model.state_dict(), shadow


def accumulation(run):
    model = run.start(nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 2)))
    optimizer = optim.NAdam(model.parameters(), lr=0.01)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    accum_iter, history = 2, []
    for batch_idx in range(6):
        x, y = run.drawn(3, 3, seed=batch_idx), run.labels(2, 3, seed=batch_idx)
        with torch.set_grad_enabled(True):
            loss = F.cross_entropy(model(x), y) / accum_iter
            loss.backward()
            if (batch_idx + 1) % accum_iter == 0:
                optimizer.step()
                optimizer.zero_grad()
                scheduler.step(loss)
        history.append(loss.item())
    return history, optimizer.param_groups[0]["lr"]


def early_stopping(run):
    model = run.start(nn.Linear(2, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.9)
    x, y = run.drawn(6, 2), run.drawn(6, 1, seed=3)
    best_loss, best_state, patience, epochs = float("inf"), None, 0, 0
    for epoch in range(8):
        model.train()
        optimizer.zero_grad()
        loss = ((model(x[:4]) - y[:4]) ** 2).mean()
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            val = F.l1_loss(model(x[4:]), y[4:])
        if val < best_loss:
            best_loss, patience = val, 0
            best_state = copy.deepcopy(model.state_dict())
        else:
            patience += 1
            if patience >= 2:
                break
        epochs += 1
    model.load_state_dict(best_state)
    return epochs, best_loss.item(), model(x)


def hooks(run):
    model = run.start(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    activation = {}

    def get_activation(name):
        def hook(model, input, output):
            activation[name] = output.detach()

        return hook

    handle = model[1].register_forward_hook(get_activation("relu"))
    out = model(run.drawn(2, 3))
    handle.remove()
    model(run.drawn(2, 3, seed=9))
    return activation, out


def masks(run):
    x = run.drawn(4, 3)
    rows, cols = torch.where(x > 0)
    chosen = x[x > 0.5]
    x2 = x.clone()
    x2[x2 < 0] = 0
    return rows, cols, chosen, x2, torch.where(x > 0, x, torch.zeros_like(x)), (x > 0).nonzero()
