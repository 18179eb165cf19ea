"""Fifty steps of momentum descent follow PyTorch's, loss by loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from numbanet import Input, Model, Sequential, set_seed
from numbanet.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
)
from numbanet.optimizers import SGD
from numbanet.runtime.device import Device
from tests.reference_device import ReferenceDevice

torch = pytest.importorskip("torch")

STEPS, BATCH = 50, 32
RATE = 0.01
"""Far from the edge of stability, where rounding errors would grow from step to step."""
TOLERANCE = 1e-4


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))[: STEPS * BATCH]
    x = (images[order] / 16).astype(np.float32).reshape(STEPS, BATCH, 8, 8, 1)
    return list(zip(x, labels[order].reshape(STEPS, BATCH), strict=True))


def mlp() -> tuple[Model, Any]:
    set_seed(1)
    model = Sequential(
        {
            "flatten": Flatten(),
            "fc1": Dense(128, activation="relu"),
            "fc2": Dense(64, activation="tanh"),
            "logits": Dense(10, activation="softmax"),
        }
    )
    model = Sequential([Input((8, 8, 1)), *model])
    dense = [layer for layer in model if isinstance(layer, Dense)]
    peers = [torch_dense(layer) for layer in dense]
    net = torch.nn.Sequential(
        torch.nn.Flatten(), peers[0], torch.nn.ReLU(), peers[1], torch.nn.Tanh(), peers[2]
    )
    return model, net


def torch_dense(layer: Dense) -> Any:
    weight, bias = layer.get_weights()
    peer = torch.nn.Linear(*weight.shape)
    copy(peer.weight, weight.T)
    copy(peer.bias, bias)
    return peer


def torch_conv(layer: Conv2D) -> Any:
    weight, bias = layer.get_weights()
    height, width, inputs, outputs = weight.shape
    peer = torch.nn.Conv2d(inputs, outputs, (height, width), padding="same")
    copy(peer.weight, weight.transpose(3, 2, 0, 1))
    copy(peer.bias, bias)
    return peer


def copy(parameter: Any, array: np.ndarray) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(array.copy()))


def cnn() -> tuple[Model, Any]:
    """A skip connection with batch normalisation, and a convolution in two branches."""
    set_seed(2)
    x = Input((8, 8, 1))
    stem, body, shared = (
        Conv2D(8, 3, padding="same", activation=activation, name=name)
        for name, activation in (("stem", "relu"), ("body", None), ("shared", "relu"))
    )
    norm, head = BatchNormalization(epsilon=1e-3), Dense(10, activation="softmax", name="head")
    h = stem(x)
    h = Add()([h, norm(body(h))])
    large = Flatten()(MaxPooling2D()(shared(h)))
    small = GlobalAveragePooling2D()(shared(MaxPooling2D()(h)))
    model = Model(x, head(Concatenate()([large, small])))

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.body, self.shared = map(torch_conv, (stem, body, shared))
            self.norm = torch.nn.BatchNorm2d(8, eps=1e-3)
            self.head = torch_dense(head)

        def forward(self, x: Any) -> Any:
            h = torch.relu(self.stem(x.permute(0, 3, 1, 2)))
            h = h + self.norm(self.body(h))
            pool = torch.nn.functional.max_pool2d
            large = pool(torch.relu(self.shared(h)), 2).permute(0, 2, 3, 1).flatten(1)
            small = torch.relu(self.shared(pool(h, 2))).mean((2, 3))
            return self.head(torch.cat([large, small], 1))

    return model, Net()


def device_named(name: str) -> str | Device:
    return ReferenceDevice() if name == "reference" else name


@pytest.mark.parametrize("make", [mlp, cnn])
@pytest.mark.parametrize(
    ("device", "nesterov"), [("cpu", False), ("cpu", True), ("reference", False)]
)
def test_losses_follow_pytorch(make: Any, device: str, nesterov: bool) -> None:
    model, net = make()
    model.compile(
        SGD(RATE, momentum=0.9, nesterov=nesterov),
        "sparse_categorical_crossentropy",
        device=device_named(device),
    )
    optimizer = torch.optim.SGD(net.parameters(), RATE, momentum=0.9, nesterov=nesterov)
    ours, theirs = [], []
    for x, y in batches():
        ours += model.fit(x, y, BATCH, shuffle=False, verbose=0).history["loss"]
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        optimizer.step()
        theirs.append(loss.item())
    assert theirs[-1] < theirs[0] / 2
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE)
