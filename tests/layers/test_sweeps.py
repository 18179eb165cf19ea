"""Every layer that has channels, with them first; every layer that is called wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import Input
from numbanet.errors import ArgumentError, DTypeError, NumbanetError, ShapeError
from numbanet.ir import Graph
from numbanet.layers import Layer
from numbanet.passes.inference import inference
from numbanet.testing import evaluate
from tests.layers.cases import LAYERS, Row, values


def takes_data_format(row: Row) -> bool:
    try:
        row._replace(arguments={"data_format": "channels_last", **row.arguments}).make()
    except TypeError:
        return False
    return bool(row.shape)


def first(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))


def computed(layer: Any, array: np.ndarray, weights: list[np.ndarray] | None) -> np.ndarray:
    x = Input(array.shape[1:])
    y = layer(x)
    if weights is not None:
        layer.set_weights(weights)
    return evaluate(inference(Graph((x,), {"y": y})), {x: array})["y"]


FORMED = [row for row in LAYERS if not isinstance(row.shape, list) and takes_data_format(row)]
LAST = [row for row in FORMED if row.arguments.get("data_format") != "channels_first"]


@pytest.mark.parametrize("row", LAST, ids=lambda row: row.label)
def test_channels_first_are_channels_last_transposed(row: Row) -> None:
    (array,) = row.arrays(2)
    array = array.astype(np.float32)
    last = row.make()
    expected = computed(last, array, None)
    other = row._replace(arguments={**row.arguments, "data_format": "channels_first"}).make()
    found = computed(other, first(array), last.get_weights())
    if row.name == "Flatten":  # both in the order of channels last
        np.testing.assert_array_equal(found, expected)
        return
    moved = first(expected) if expected.ndim == array.ndim else expected
    np.testing.assert_allclose(found, moved, rtol=1e-5, atol=1e-6)


def test_all_layers_with_channels_are_swept() -> None:
    assert len({row.name for row in LAST}) > 20


ONE = [row for row in LAYERS if not isinstance(row.shape, list)]
"""Of one input; those of several are in test_errors."""


def told(error: NumbanetError, layer: Layer) -> None:
    text = str(error)
    assert layer.name in text, f"names no layer: {text}"
    assert "got" in text or "expected" in text, text


def wrong_calls(row: Row) -> dict[str, tuple[int, ...]]:
    """Shapes of samples that the layer, built for another one, may refuse."""
    shape = tuple(row.shape)  # type: ignore[arg-type]
    return {
        "too few axes": shape[1:] if len(shape) > 1 else (),
        "too many axes": (2, *shape),
        "another width": tuple(size + 1 for size in shape),
    }


@pytest.mark.parametrize("kind", ["too few axes", "too many axes", "another width"])
@pytest.mark.parametrize("row", ONE, ids=lambda row: row.label)
def test_wrong_shapes_are_computed_or_refused_by_name(row: Row, kind: str) -> None:
    layer: Any = row.make()
    layer(row.inputs())
    before = layer.get_weights()
    try:
        layer(Input(wrong_calls(row)[kind], dtype=row.dtype))
    except (ShapeError, ArgumentError) as error:
        told(error, layer)
    for found, kept in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, kept)


@pytest.mark.parametrize("row", ONE, ids=lambda row: row.label)
def test_wrong_dtypes_are_computed_or_refused_by_name(row: Row) -> None:
    for dtype in {"int32", "float32", "float64"} - {row.dtype}:
        layer: Any = row.make()
        inputs = row._replace(dtype=dtype).inputs()
        try:
            layer(inputs)
        except DTypeError as error:
            told(error, layer)
            assert layer(row.inputs()) is not None


WEIGHTED = {
    "Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv1DTranspose", "Conv2DTranspose",
    "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization",
    "PReLU",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_another_width_than_that_of_the_weights_is_refused(name: str) -> None:
    row = next(row for row in ONE if row.name == name and row.make() is not None)
    layer: Any = row.make()
    inputs = values(row.inputs())
    layer(inputs[0])
    shape = tuple(row.shape)  # type: ignore[arg-type]
    with pytest.raises(ShapeError) as caught:
        layer(Input(tuple(2 * size for size in shape), dtype=row.dtype))
    told(caught.value, layer)
