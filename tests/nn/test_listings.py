"""Published PyTorch listings with nothing changed but their import lines.

Each listing is a text that runs twice: as it is, with PyTorch, and with the imports of
`IMPORTS` replaced. What the two leave behind is compared.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

IMPORTS = (
    (
        "import torchvision.transforms as transforms",
        "import numbanet.data.transforms as transforms",
    ),
    ("from torchvision import transforms", "from numbanet.data import transforms"),
    ("from torch.utils.data import", "from numbanet.data import"),
    ("import torch.nn.functional as F", "import numbanet.nn.functional as F"),
    ("import torch.optim as optim", "import numbanet.optim as optim"),
    ("import torch.nn as nn", "import numbanet.nn as nn"),
    ("import torch\n", "import numbanet as torch\n"),
)


def run(listing: str, **given: Any) -> dict[str, Any]:
    """The names that a listing leaves behind, and what it prints as ``printed``."""
    names: dict[str, Any] = {"__name__": "listing", **given}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(listing, "listing", "exec"), names)
    return {**names, "printed": printed.getvalue()}


def ported(listing: str) -> str:
    """The listing with numbanet's import lines."""
    for theirs, ours in IMPORTS:
        listing = listing.replace(theirs, ours)
    assert "torch." not in listing.replace("import numbanet as torch", "") or (
        "import numbanet as torch" in listing
    )
    return listing


def copy_weights(theirs: Any, ours: Any) -> None:
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    ours.load_state_dict(state)


def close(ours: Any, theirs: Any, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance
    )


SEQUENTIAL = """
import torch.nn as nn

model = nn.Sequential(
    nn.Conv2d(3, 16, 3),
    nn.ReLU(),
    nn.MaxPool2d(2, 2),
    nn.Conv2d(16, 32, 3),
    nn.ReLU(),
    nn.MaxPool2d(2, 2)
)
print(model)
"""

ORDERED = """
import torch.nn as nn
from collections import OrderedDict

model = nn.Sequential(OrderedDict([
    ('conv1', nn.Conv2d(3, 16, 3)),
    ('relu1', nn.ReLU()),
    ('pool1', nn.MaxPool2d(2, 2)),
    ('dropout1', nn.Dropout(p=0.5)),
    ('conv2', nn.Conv2d(16, 32, 3)),
    ('relu2', nn.ReLU()),
    ('pool2', nn.MaxPool2d(2, 2)),
    ('dropout2', nn.Dropout(p=0.5))
]))
print(model)
print(model.conv1)
"""


@pytest.mark.parametrize("listing", [SEQUENTIAL, ORDERED], ids=["sequential", "ordered"])
def test_convolutional_sequential_prints_and_computes_the_same(listing):
    theirs, ours = run(listing), run(ported(listing))
    assert ours["printed"] == theirs["printed"]
    a, b = ours["model"], theirs["model"]
    copy_weights(b, a)
    a.eval(), b.eval()
    images = np.random.default_rng(0).normal(size=(2, 3, 14, 14)).astype(np.float32)
    import numbanet

    close(a(numbanet.tensor(images)), b(torch.tensor(images)))
    if listing is ORDERED:
        assert repr(a.conv1.weight) == repr(b.conv1.weight)


FOUR_WAYS = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from collections import OrderedDict

x = torch.tensor(numbers)
w1, b1, w2, b2, w3, b3 = [torch.tensor(each) for each in weights]

# Bare tensors
h = torch.relu(x @ w1 + b1)
h = torch.relu(h @ w2 + b2)
bare = torch.sigmoid(h @ w3 + b3)


# A class
class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(16, 12)
        self.fc2 = nn.Linear(12, 10)
        self.fc3 = nn.Linear(10, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return torch.sigmoid(self.fc3(x))


# Layers in a row
row = nn.Sequential(
    nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 1), nn.Sigmoid()
)

# Layers with names
named = nn.Sequential(OrderedDict([
    ('fc1', nn.Linear(16, 12)),
    ('relu1', nn.ReLU()),
    ('fc2', nn.Linear(12, 10)),
    ('relu2', nn.ReLU()),
    ('fc3', nn.Linear(10, 1)),
    ('sigmoid', nn.Sigmoid()),
]))


# A row within a class
class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU())
        self.head = nn.Linear(10, 1)

    def forward(self, x):
        return torch.sigmoid(self.head(self.body(x)))


model, mixed = Network(), Mixed()
for network in (model, row, named, mixed):
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), (w1.T, b1, w2.T, b2, w3.T, b3)):
            parameter.copy_(value)

print(model)
print(row)
print(row[0])
print(named)
print(named.fc2)
print(named.fc2.weight)
print(model.fc3.bias)
print(mixed)
results = [bare, model(x), row(x), named(x), mixed(x)]
"""


def test_a_small_network_four_ways_gives_the_same_bits():
    rng = np.random.default_rng(1)
    shapes = [(16, 12), (12,), (12, 10), (10,), (10, 1), (1,)]
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    numbers = rng.normal(size=(5, 16)).astype(np.float32)
    theirs = run(FOUR_WAYS, numbers=numbers, weights=weights)
    ours = run(ported(FOUR_WAYS), numbers=numbers, weights=weights)
    assert ours["printed"] == theirs["printed"]
    first = ours["results"][0].detach().numpy()
    for each in ours["results"]:
        np.testing.assert_array_equal(each.detach().numpy(), first)
    close(ours["results"][0], theirs["results"][0])


MODULES = """
import torch
import torch.nn as nn
import torch.nn.functional as F


class SimpleNet(nn.Module):
    def __init__(self):
        super(SimpleNet, self).__init__()
        self.fc1 = nn.Linear(784, 128)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = x.view(-1, 784)
        x = self.fc1(x)
        x = self.relu(x)
        x = self.fc2(x)
        return x


class TanhNet(SimpleNet):
    def __init__(self):
        super().__init__()
        self.relu = nn.Tanh()


class ComplexModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.shared = nn.Linear(8, 8)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        a = self.shared(self.branch(x))
        b = self.shared(x)
        return self.out(torch.cat([a, b], dim=1))


simple, tanh, complex_ = SimpleNet(), TanhNet(), ComplexModel()
print(simple)
print(tanh)
print(complex_)
print(sum(p.numel() for p in complex_.parameters()))
print([name for name, _ in complex_.named_parameters()])
"""


def test_modules_of_one_s_own():
    theirs, ours = run(MODULES), run(ported(MODULES))
    assert ours["printed"] == theirs["printed"]
    import numbanet

    rng = np.random.default_rng(2)
    for name, shape in (("simple", (3, 1, 28, 28)), ("tanh", (3, 784)), ("complex_", (4, 8))):
        a, b = ours[name], theirs[name]
        copy_weights(b, a)
        x = rng.normal(size=shape).astype(np.float32)
        found, expected = a(numbanet.tensor(x)), b(torch.tensor(x))
        found.sum().backward()
        expected.sum().backward()
        close(found, expected, 1e-4)
        for (key, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
            np.testing.assert_allclose(
                p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=1e-4, err_msg=key
            )


LOSSES = """
import torch
import torch.nn as nn

logits = torch.tensor(numbers, requires_grad=True)
targets = torch.tensor(labels)
log_softmax = nn.LogSoftmax(dim=1)
nll = nn.NLLLoss()(log_softmax(logits), targets)
cross_entropy = nn.CrossEntropyLoss()(logits, targets)
probabilities = nn.Softmax(dim=1)(logits)
(nll + cross_entropy).backward()
"""


def test_log_softmax_with_nll_is_cross_entropy():
    rng = np.random.default_rng(3)
    given = {"numbers": rng.normal(size=(6, 5)).astype(np.float32), "labels": np.arange(6) % 5}
    theirs, ours = run(LOSSES, **given), run(ported(LOSSES), **given)
    for name in ("nll", "cross_entropy", "probabilities"):
        close(ours[name], theirs[name])
    close(ours["logits"].grad, theirs["logits"].grad)
    assert ours["nll"].item() == pytest.approx(ours["cross_entropy"].item(), rel=1e-6)


DATA = """
import torch
from torch.utils.data import Dataset, DataLoader, random_split
from torchvision import transforms


class Images(Dataset):
    def __init__(self, images, labels, transform=None):
        self.images = images
        self.labels = labels
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if self.transform:
            image = self.transform(image)
        return image, self.labels[index]


transform = transforms.Compose([
    transforms.ToTensor(),
    transforms.Normalize(mean=[0.5], std=[0.5])
])
dataset = Images(images, labels, transform)
train_size = int(0.8 * len(dataset))
train, validation = random_split(dataset, [train_size, len(dataset) - train_size])
train_loader = DataLoader(train, batch_size=32, shuffle=True)
validation_loader = DataLoader(validation, batch_size=32)
seen = []
for inputs, targets in train_loader:
    seen.append((inputs, targets))
"""


def test_a_data_set_of_one_s_own():
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (50, 28, 28)).astype(np.uint8)
    ours = run(ported(DATA), images=images, labels=list(range(50)))
    assert [tuple(x.shape) for x, _ in ours["seen"]] == [(32, 1, 28, 28), (8, 1, 28, 28)]
    order = np.concatenate([y.numpy() for _, y in ours["seen"]])
    assert len(set(order)) == 40
    first = ours["seen"][0][0].numpy()[0, 0]
    np.testing.assert_allclose(first, images[order[0]] / 127.5 - 1, atol=1e-6)
    assert sum(len(y) for _, y in ours["validation_loader"]) == 10


TRAINING = """
import torch
import torch.nn as nn
import torch.optim as optim

loss_fn = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
losses = []
for epoch in range(3):
    model.train()
    running_loss = 0.0
    for inputs, targets in data_loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = loss_fn(outputs, targets)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    losses.append(running_loss)
model.eval()
correct = 0
with torch.no_grad():
    for inputs, targets in data_loader:
        outputs = model(inputs)
        _, predicted = torch.max(outputs, 1)
        correct += (predicted == targets).sum().item()
"""


def test_the_training_loop_as_everyone_writes_it():
    import numbanet
    from numbanet import data

    rng = np.random.default_rng(5)
    x = rng.normal(size=(70, 784)).astype(np.float32)
    y = rng.integers(0, 10, 70)
    theirs, ours = run(MODULES)["SimpleNet"](), run(ported(MODULES))["SimpleNet"]()
    copy_weights(theirs, ours)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=32
    )
    expected = run(TRAINING, model=theirs, data_loader=loader)
    own = data.DataLoader(
        data.TensorDataset(numbanet.tensor(x), numbanet.tensor(y)), batch_size=32
    )
    found = run(ported(TRAINING), model=ours, data_loader=own)
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-4)
    assert found["correct"] == expected["correct"]


QUICKSTART = """
import torch
import torch.nn as nn


def test(dataloader, model, loss_fn):
    size = len(dataloader.dataset)
    num_batches = len(dataloader)
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for X, y in dataloader:
            X, y = X.to(device), y.to(device)
            pred = model(X)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).type(torch.float).sum().item()
    test_loss /= num_batches
    correct /= size
    return correct, test_loss


device = "cuda" if torch.cuda.is_available() else "cpu"
model = network().to(device)
found = test(data_loader, model, nn.CrossEntropyLoss())
"""


def test_an_evaluation_loop_that_counts():
    import numbanet
    from numbanet import data

    rng = np.random.default_rng(6)
    x = rng.normal(size=(70, 784)).astype(np.float32)
    y = rng.integers(0, 10, 70)
    theirs, ours = run(MODULES)["SimpleNet"](), run(ported(MODULES))["SimpleNet"]()
    copy_weights(theirs, ours)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=32
    )
    own = data.DataLoader(
        data.TensorDataset(numbanet.tensor(x), numbanet.tensor(y)), batch_size=32
    )
    expected = run(QUICKSTART, network=lambda: theirs, data_loader=loader)["found"]
    found = run(ported(QUICKSTART), network=lambda: ours, data_loader=own)["found"]
    assert found == pytest.approx(expected, rel=1e-5)
