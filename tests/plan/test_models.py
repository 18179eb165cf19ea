"""Plans of whole training steps: how many launches, how much memory, how they print."""

from __future__ import annotations

import pytest

import numbanet as nb
from numbanet.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    ReLU,
)
from numbanet.runtime import get_device
from numbanet.runtime.device import Device
from tests.reference_device import ReferenceDevice

KERNELS = frozenset(
    {
        "argmax",
        "concatenate",
        "conv2d",
        "conv2d_transpose",
        "conv2d_weight_grad",
        "cross_entropy",
        "gather_batch",
        "matmul",
        "max_pool2d",
        "max_pool2d_grad",
        "pad",
    }
)
"""Ops that every device has kernels of its own for."""


def mlp() -> nb.Model:
    return nb.Sequential(
        [nb.Input((784,)), Dense(128, activation="relu", name="fc1"), Dense(10, name="fc2")]
    )


def branches() -> nb.Model:
    """A skip connection, a convolution in two branches, dropout."""
    x = nb.Input((8, 8, 1))
    h = Conv2D(16, 3, padding="same", activation="relu", name="stem")(x)
    h = ReLU()(Add()([h, BatchNormalization()(Conv2D(16, 3, padding="same")(h))]))
    shared = Conv2D(16, 3, padding="same", activation="relu", name="shared")
    h = Concatenate()([MaxPooling2D()(shared(h)), shared(MaxPooling2D()(h))])
    h = Dense(64, activation="relu")(Dropout(0.4)(Flatten()(h)))
    return nb.Model(x, Dense(10)(h))


def residual() -> nb.Model:
    """Three stages of residual blocks with strides, as in ResNets for small images."""
    x = nb.Input((32, 32, 3))
    h = ReLU()(BatchNormalization()(Conv2D(16, 3, padding="same", use_bias=False)(x)))
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        skip = h if stride == 1 else Conv2D(width, 1, strides=2, use_bias=False)(h)
        y = Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(h)
        y = ReLU()(BatchNormalization()(y))
        y = BatchNormalization()(Conv2D(width, 3, padding="same", use_bias=False)(y))
        h = ReLU()(Add()([y, skip]))
    return nb.Model(x, Dense(10)(GlobalAveragePooling2D()(h)))


def compiled(model: nb.Model, device: Device) -> nb.Model:
    loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    sgd = nb.optimizers.SGD(0.1, momentum=0.9)
    model.compile(sgd, loss, metrics=["accuracy"], device=device)
    return model


@pytest.mark.parametrize("make", [mlp, branches, residual])
@pytest.mark.parametrize("batch", [1, 32, 100])
def test_arena_is_within_five_percent_of_the_live_set(make, batch: int) -> None:
    for device in (ReferenceDevice(KERNELS), get_device("cpu")):
        program = compiled(make(), device).program(batch)
        assert program.live_bytes > 0
        assert program.arena_bytes <= 1.05 * program.live_bytes


def test_a_step_prints_as_it_did(golden) -> None:
    program = compiled(mlp(), ReferenceDevice(KERNELS)).program(64)
    golden("program_mlp", str(program))


def test_the_optimizer_is_one_launch_for_all_parameters() -> None:
    program = compiled(branches(), ReferenceDevice(KERNELS)).program(32)
    writers = [
        launch
        for launch in program.launches
        for position in launch.writes
        if getattr(launch.arguments[position], "buffer", None) is not None
        and launch.arguments[position].buffer.name == "parameters"  # type: ignore[union-attr]
    ]
    assert len(writers) == 1


def test_bias_and_activation_cost_no_launch() -> None:
    program = compiled(mlp(), ReferenceDevice(KERNELS)).program(64)
    forward = [launch for launch in program.launches if launch.path.startswith("fc")]
    # Per layer a product forward, one or two backward, and the bias gradient's sum.
    assert [launch.op for launch in forward] == [
        "matmul",
        "matmul",
        "matmul",
        "matmul",
        "fused",
        "matmul",
        "fused",
    ]
