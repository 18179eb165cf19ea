"""Models whose pictures are checked, and looked at."""

from __future__ import annotations

from collections.abc import Callable

from numbanet import Input, Model, Sequential
from numbanet.ir import Value
from numbanet.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    ReLU,
)


def chain() -> Model:
    layers = [Conv2D(4, 3, activation="relu"), MaxPooling2D(), Flatten(), Dense(10)]
    return Sequential([Input((8, 8, 1)), *layers])


def residual() -> Model:
    def block(x: Value) -> Value:
        h = ReLU()(BatchNormalization()(Conv2D(4, 3, padding="same")(x)))
        h = BatchNormalization()(Conv2D(4, 3, padding="same")(h))
        return ReLU()(Add()([x, h]))

    x = Input((8, 8, 1))
    h = Conv2D(4, 3, padding="same", name="stem")(x)
    for _ in range(3):
        h = block(h)
    long = Concatenate()([h, Conv2D(4, 1, name="shortcut")(x)])
    return Model(x, Dense(10)(GlobalAveragePooling2D()(long)))


def inception() -> Model:
    def block(x: Value) -> Value:
        one = Conv2D(4, 1)(x)
        three = Conv2D(4, 3, padding="same")(Conv2D(2, 1)(x))
        five = Conv2D(4, 3, padding="same")(Conv2D(4, 3, padding="same")(Conv2D(2, 1)(x)))
        pooled = Conv2D(4, 1)(MaxPooling2D(3, strides=1, padding="same")(x))
        return Concatenate()([one, three, five, pooled])

    x = Input((8, 8, 1))
    h = block(block(x))
    return Model(x, {"label": Dense(10)(GlobalAveragePooling2D()(h)), "map": Conv2D(1, 1)(h)})


def shared() -> Model:
    left, right = Input((16,), name="left"), Input((16,), name="right")
    tower = Dense(16, activation="relu", name="tower")
    again = Dense(16, name="again")
    a, b = again(again(tower(left))), tower(right)
    return Model([left, right], Dense(1)(Add()([a, b, left * 0.5])))


def nested() -> Model:
    x = Input((8, 8, 1), name="image")
    h = Conv2D(4, 3, padding="same")(x)
    encoder = Model(x, [MaxPooling2D()(Add()([h, Conv2D(4, 1)(x)])), h], name="encoder")
    first, second = Input((8, 8, 1), name="first"), Input((8, 8, 1), name="second")
    small, whole = encoder(first)
    other, _ = encoder(second)
    head = Sequential([GlobalAveragePooling2D(), Dense(4, activation="tanh")], name="head")
    inner = Model(None or (y := Input((4, 4, 4))), Flatten()(head(y) * 2.0), name="inner")
    joined = Concatenate()([inner(small), head(other), GlobalAveragePooling2D()(whole)])
    return Model([first, second], Dense(3)(joined))


def deep() -> Model:
    x = Input((16,))
    h = x
    for i in range(58):
        h = Dense(16, activation="relu", name=f"dense_with_a_long_name_{i}")(h)
    return Model(x, Add()([x, h]))


MODELS: tuple[Callable[[], Model], ...] = (chain, residual, inception, shared, nested, deep)
