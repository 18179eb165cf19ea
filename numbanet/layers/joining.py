"""Layers that join values, as functions with Keras's names: ``add([a, b])``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numbanet.ir import Value
from numbanet.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)


def add(inputs: Sequence[Value], **options: Any) -> Value:
    """What `Add` with these options returns."""
    return Add(**options)(inputs)


def subtract(inputs: Sequence[Value], **options: Any) -> Value:
    """What `Subtract` with these options returns."""
    return Subtract(**options)(inputs)


def multiply(inputs: Sequence[Value], **options: Any) -> Value:
    """What `Multiply` with these options returns."""
    return Multiply(**options)(inputs)


def average(inputs: Sequence[Value], **options: Any) -> Value:
    """What `Average` with these options returns."""
    return Average(**options)(inputs)


def maximum(inputs: Sequence[Value], **options: Any) -> Value:
    """What `Maximum` with these options returns."""
    return Maximum(**options)(inputs)


def minimum(inputs: Sequence[Value], **options: Any) -> Value:
    """What `Minimum` with these options returns."""
    return Minimum(**options)(inputs)


def concatenate(inputs: Sequence[Value], axis: int = -1, **options: Any) -> Value:
    """What `Concatenate` with these options returns."""
    return Concatenate(axis, **options)(inputs)


def dot(inputs: Sequence[Value], axes: int | Sequence[int] = -1, **options: Any) -> Value:
    """What `Dot` with these options returns."""
    return Dot(axes, **options)(inputs)
