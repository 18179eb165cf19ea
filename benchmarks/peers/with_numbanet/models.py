"""The models, as numbanet's users write them."""

from __future__ import annotations

import numbanet as nb
from benchmarks import models
from benchmarks.layouts import channels_last
from benchmarks.models import ConvNet, Convolution, Perceptron, ResNet, Transformer, Weights
from benchmarks.workloads import Workload
from numbanet import ops
from numbanet.ir import Value
from numbanet.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    LayerNormalization,
    MaxPooling2D,
    ReLU,
)
from numbanet.runtime import Device


def build(
    workload: Workload,
    device: str | Device,
    *,
    dropout: float = 0.0,
    weights: Weights | None = None,
    metrics: tuple[str, ...] = (),
) -> nb.Model:
    """The compiled model of a workload; with numbanet's own initial weights if none are
    given."""
    model = BUILDERS[type(workload.model)](workload.model, dropout)
    if weights is not None:
        _set_weights(model, channels_last(weights, (2, 3, 1, 0)))
    if workload.optimizer == "adam":
        optimizer = nb.optimizers.Adam(workload.learning_rate, epsilon=1e-8)
    else:
        optimizer = nb.optimizers.SGD(workload.learning_rate, momentum=workload.momentum)
    classes = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = "mse" if workload.model.reconstructs else classes
    model.compile(optimizer, loss, metrics=metrics, device=device)
    return model


def _perceptron(sizes: Perceptron, dropout: float) -> nb.Model:
    first, *units = sizes.sizes
    activations = ["relu"] * (len(units) - 1) + ["sigmoid" if sizes.reconstructs else None]
    layers = [
        Dense(size, activation=activation, name=f"fc{i}")
        for i, (size, activation) in enumerate(zip(units, activations, strict=True), 1)
    ]
    return nb.Sequential([nb.Input((first,)), *layers])


def _convnet(sizes: ConvNet, dropout: float) -> nb.Model:
    x = h = nb.Input((28, 28, 1))
    for i, channels in enumerate(sizes.channels[1:], 1):
        h = MaxPooling2D(2)(Conv2D(channels, 3, activation="relu", name=f"conv{i}")(h))
        h = Dropout(dropout)(h) if dropout else h
    return nb.Model(x, Dense(10, name="fc")(Flatten()(h)))


class EvenlyPadded(Conv2D):
    """A convolution padded alike on all sides, as PyTorch does; ``"same"`` is not, where a
    stride divides an even size."""

    def __init__(self, row: Convolution) -> None:
        super().__init__(
            row.fan_out, row.size, strides=row.stride, use_bias=False, name=row.name
        )
        around = (row.size // 2, row.size // 2)
        self.padding = (around, around)  # type: ignore[assignment]


def _resnet(sizes: ResNet, dropout: float) -> nb.Model:
    rows = {row.name: row for row in sizes.convolutions()}

    def unit(name: str, x: Value) -> Value:
        norm = BatchNormalization(epsilon=1e-5, name=name.replace("conv", "norm"))
        return norm(EvenlyPadded(rows[name])(x))

    x = nb.Input((32, 32, 3))
    h = ReLU()(unit("stem.conv", x))
    for at in sizes.block_names():
        y = unit(f"{at}.conv2", ReLU()(unit(f"{at}.conv1", h)))
        skip = f"{at}.skip.conv"
        h = ReLU()(Add()([y, unit(skip, h) if skip in rows else h]))
    return nb.Model(x, Dense(10, name="fc")(GlobalAveragePooling2D()(h)))


class Attention(nb.Module):
    """Scaled dot products of queries and keys weigh the values (Vaswani et al., 2017).

    Takes queries, keys and values of all heads side by side: ``[batch, tokens, 3 * width]``.
    """

    def __init__(self, sizes: Transformer) -> None:
        super().__init__()
        self.tokens, self.width, self.heads = sizes.tokens, sizes.width, sizes.heads

    def forward(self, qkv: Value) -> Value:
        parts = ops.reshape(qkv, (-1, self.tokens, 3, self.heads, self.width // self.heads))
        mixed = ops.attention(*(parts[:, :, i] for i in range(3)))
        return ops.reshape(mixed, (-1, self.tokens, self.width))


class MeanOverTokens(nb.Module):
    def forward(self, x: Value) -> Value:
        return ops.mean(x, 1)


def _transformer(sizes: Transformer, dropout: float) -> nb.Model:
    width = sizes.width

    def norm(name: str, x: Value) -> Value:
        return LayerNormalization(epsilon=sizes.epsilon, name=name)(x)

    x = h = nb.Input(sizes.input_shape)
    for at in sizes.block_names():
        qkv = Dense(3 * width, name=f"{at}.qkv")(norm(f"{at}.norm1", h))
        h = Add()([h, Dense(width, name=f"{at}.out")(Attention(sizes)(qkv))])
        wide = Dense(4 * width, activation="gelu", name=f"{at}.up")(norm(f"{at}.norm2", h))
        h = Add()([h, Dense(width, name=f"{at}.down")(wide)])
    return nb.Model(x, Dense(10, name="fc")(MeanOverTokens()(norm("norm", h))))


BUILDERS = {
    models.Perceptron: _perceptron,
    models.ConvNet: _convnet,
    models.ResNet: _resnet,
    models.Transformer: _transformer,
}


def _set_weights(model: nb.Model, weights: Weights) -> None:
    for layer in model.layers:
        own = [array for key, array in weights.items() if key.rpartition(".")[0] == layer.name]
        if own:
            rest = layer.get_weights()[len(own) :]  # running statistics keep their start
            layer.set_weights([*own, *rest])
