"""Every layer, as Keras constructs it: what the conformance and parity tests sweep.

A row is a layer's name, its arguments and the shape of one sample, or a list of shapes for a
layer that takes a list. Rows whose layer draws numbers compare at inference only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numbanet import Input, layers
from numbanet.ir import Value
from numbanet.layers import Module

Shape = tuple[int, ...]


class Row(NamedTuple):
    """One way to construct a layer.

    ``dtype`` is the inputs'; integers are ids below 5. ``is_random``: training draws.
    """

    name: str
    arguments: dict[str, Any]
    shape: Shape | list[Shape]
    dtype: str = "float32"
    is_random: bool = False

    @property
    def label(self) -> str:
        arguments = ",".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.name}({arguments}) {self.shape}"

    def make(self) -> Module:
        arguments = {
            name: value.make() if isinstance(value, Row) else value
            for name, value in self.arguments.items()
        }
        return getattr(layers, self.name)(**arguments)

    def inputs(self) -> Any:
        """Symbolic inputs, in a list if the layer takes one."""
        if isinstance(self.shape, list):
            return [Input(shape, dtype=self.dtype) for shape in self.shape]
        return Input(self.shape, dtype=self.dtype)

    def arrays(self, batch: int) -> list[np.ndarray]:
        """One array for each input. No two numbers are equal, and none is zero."""
        rng = np.random.default_rng(7)
        shapes = self.shape if isinstance(self.shape, list) else [self.shape]
        return [_numbers(rng, (batch, *shape), self.dtype) for shape in shapes]


def _numbers(rng: np.random.Generator, shape: Shape, dtype: str) -> np.ndarray:
    if not dtype.startswith("float"):
        return rng.integers(5, size=shape).astype(dtype)
    size = int(np.prod(shape))
    spread = (rng.permutation(size) + 0.5) / size * 4 - 2
    return spread.reshape(shape).astype(dtype)


def values(inputs: Any) -> list[Value]:
    return inputs if isinstance(inputs, list) else [inputs]


FIRST = {"data_format": "channels_first"}
SAME = {"padding": "same"}
IMAGE, SERIES = (6, 5, 4), (7, 4)

DENSE = [
    Row("Dense", {"units": 3}, (4,)),
    Row("Dense", {"units": 3, "activation": "relu", "use_bias": False}, (2, 4)),
    Row("Dense", {"units": 2, "activation": "softmax"}, (2, 3, 4), "float64"),
    Row("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "c"}, (4,)),
    Row(
        "EinsumDense",
        {
            "equation": "abc,cde->abde",
            "output_shape": (None, 2, 3),
            "bias_axes": "de",
            "activation": "tanh",
        },
        (5, 4),
    ),
    Row(
        "EinsumDense",
        {"equation": "...x,xy->...y", "output_shape": 3, "bias_axes": "y"},
        (2, 5, 4),
    ),
    Row(
        "EinsumDense",
        {"equation": "abc...,bd->adc...", "output_shape": (3, 4), "bias_axes": "d"},
        (2, 4, 5),
    ),
    Row("Embedding", {"input_dim": 5, "output_dim": 3}, (4,), "int32"),
    Row("Embedding", {"input_dim": 5, "output_dim": 3, "mask_zero": True}, (4,), "int32"),
    Row("Masking", {"mask_value": 0.5}, (3, 4)),
]

CONVOLUTIONS = [
    Row("Conv1D", {"filters": 3, "kernel_size": 2}, SERIES),
    Row("Conv1D", {"filters": 2, "kernel_size": 3, "strides": 2, **SAME}, SERIES),
    Row(
        "Conv1D",
        {"filters": 4, "kernel_size": 2, "padding": "causal", "dilation_rate": 2, "groups": 2},
        SERIES,
    ),
    Row("Conv1D", {"filters": 2, "kernel_size": 3, **SAME, **FIRST}, (4, 7)),
    Row("Conv2D", {"filters": 3, "kernel_size": (3, 2), "activation": "relu"}, IMAGE),
    Row(
        "Conv2D", {"filters": 2, "kernel_size": 3, "strides": (2, 1), **SAME}, IMAGE, "float64"
    ),
    Row(
        "Conv2D",
        {"filters": 4, "kernel_size": 2, "dilation_rate": (1, 2), "groups": 2, **SAME},
        IMAGE,
    ),
    Row(
        "Conv2D",
        {"filters": 2, "kernel_size": 3, "activation": "softmax", "use_bias": False, **FIRST},
        IMAGE,
    ),
    Row("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}, SERIES),
    Row(
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1, **SAME},
        SERIES,
    ),
    Row("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3, **FIRST}, (4, 7)),
    Row("Conv2DTranspose", {"filters": 3, "kernel_size": (3, 2), "strides": 2}, (3, 2, 4)),
    Row("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, **SAME}, (3, 2, 4)),
    Row("Conv2DTranspose", {"filters": 2, "kernel_size": 4, "strides": 2, **SAME}, (3, 2, 4)),
    Row("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3}, (3, 2, 1)),
    Row(
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": (2, 3), "output_padding": (1, 2), **SAME},
        (3, 2, 4),
    ),
    Row(
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": (3, 4), "strides": 2, "output_padding": 1},
        (3, 2, 4),
    ),
    Row(
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": 2, "dilation_rate": 2, **FIRST},
        (2, 4, 3),
    ),
    Row("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, SERIES),
    Row("DepthwiseConv1D", {"kernel_size": 2, "strides": 2, **SAME, **FIRST}, (4, 7)),
    Row("DepthwiseConv2D", {"kernel_size": (3, 2), "depth_multiplier": 2, **SAME}, IMAGE),
    Row("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "use_bias": False}, IMAGE),
    Row("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2, **FIRST}, (4, 6, 5)),
    Row("SeparableConv1D", {"filters": 3, "kernel_size": 3, "depth_multiplier": 2}, SERIES),
    Row("SeparableConv2D", {"filters": 3, "kernel_size": 3, "strides": 2, **SAME}, IMAGE),
    Row(
        "SeparableConv2D",
        {"filters": 3, "kernel_size": 2, "depth_multiplier": 2, "activation": "relu", **FIRST},
        (4, 6, 5),
    ),
]

POOLING = [
    Row("MaxPooling1D", {}, SERIES),
    Row("MaxPooling1D", {"pool_size": 3, "strides": 2, **SAME, **FIRST}, (4, 7)),
    Row("MaxPooling2D", {}, IMAGE),
    Row("MaxPooling2D", {"pool_size": (3, 2), "strides": (2, 1), **SAME}, IMAGE),
    Row("MaxPooling2D", FIRST, (4, 6, 5)),
    Row("AveragePooling1D", {"pool_size": 2}, SERIES),
    Row("AveragePooling1D", {"pool_size": 3, "strides": 2, **SAME}, SERIES),
    Row("AveragePooling2D", {"pool_size": 2}, IMAGE),
    Row("AveragePooling2D", {"pool_size": (3, 2), "strides": (2, 1), **SAME}, IMAGE),
    Row("AveragePooling2D", {"pool_size": 2, **FIRST}, (4, 6, 5)),
    Row("GlobalAveragePooling1D", {}, SERIES),
    Row("GlobalAveragePooling1D", {"keepdims": True, **FIRST}, (4, 7)),
    Row("GlobalAveragePooling2D", {}, IMAGE),
    Row("GlobalAveragePooling2D", {"keepdims": True}, IMAGE),
    Row("GlobalMaxPooling1D", {}, SERIES),
    Row("GlobalMaxPooling2D", FIRST, IMAGE),
    Row("GlobalMaxPooling2D", {"keepdims": True}, IMAGE),
]

NORMALIZATION = [
    Row("BatchNormalization", {}, (4,)),
    Row("BatchNormalization", {"momentum": 0.7, "epsilon": 0.1}, (3, 2, 4)),
    Row("BatchNormalization", {"axis": 1, "scale": False}, (4, 3, 2)),
    Row("BatchNormalization", {"center": False}, (3, 4)),
    Row("LayerNormalization", {}, (3, 4)),
    Row("LayerNormalization", {"axis": (1, 3), "epsilon": 0.1}, (3, 2, 4)),
    Row("LayerNormalization", {"axis": 1, "center": False}, (3, 4)),
    Row("LayerNormalization", {"scale": False}, (4,)),
    Row("GroupNormalization", {"groups": 2}, (3, 2, 4)),
    Row("GroupNormalization", {"groups": -1, "axis": 1, "scale": False}, (4, 3)),
    Row("RMSNormalization", {}, (3, 4)),
    Row("RMSNormalization", {"axis": (-1, -2), "epsilon": 0.1}, (3, 2, 4)),
    Row("UnitNormalization", {}, (3, 4), "float64"),
    Row("UnitNormalization", {"axis": (1, 2)}, (3, 4)),
]

NOISE = [
    Row("Dropout", {"rate": 0.5}, (4,), is_random=True),
    Row(
        "Dropout", {"rate": 0.3, "noise_shape": (None, 1, 4), "seed": 3}, (3, 4), is_random=True
    ),
    Row("Dropout", {"rate": 0.0}, (4,)),
    Row("SpatialDropout1D", {"rate": 0.5}, SERIES, is_random=True),
    Row("SpatialDropout2D", {"rate": 0.5}, IMAGE, is_random=True),
    Row("SpatialDropout2D", {"rate": 0.5, **FIRST}, IMAGE, is_random=True),
    Row("GaussianNoise", {"stddev": 0.5}, (4,), is_random=True),
    Row("GaussianDropout", {"rate": 0.3}, (4,), is_random=True),
    Row("AlphaDropout", {"rate": 0.3}, (4,), is_random=True),
]

ACTIVATIONS = [
    *(
        Row("Activation", {"activation": name}, (3, 4))
        for name in (
            "celu",
            "elu",
            "exponential",
            "gelu",
            "glu",
            "hard_shrink",
            "hard_sigmoid",
            "hard_silu",
            "hard_swish",
            "hard_tanh",
            "leaky_relu",
            "linear",
            "log_sigmoid",
            "log_softmax",
            "mish",
            "relu",
            "relu6",
            "selu",
            "sigmoid",
            "silu",
            "soft_shrink",
            "softmax",
            "softplus",
            "softsign",
            "sparse_plus",
            "sparse_sigmoid",
            "sparsemax",
            "squareplus",
            "swish",
            "tanh",
            "tanh_shrink",
        )
    ),
    Row("ELU", {"alpha": 0.5}, (4,)),
    Row("Identity", {}, (4,)),
    Row("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (4,)),
    Row("LeakyReLU", {}, (4,)),
    Row("PReLU", {}, (3, 4)),
    Row("PReLU", {"shared_axes": (1, 2), "alpha_initializer": "ones"}, (3, 2, 4)),
    Row("ReLU", {}, (4,)),
    Row("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.3}, (4,)),
    Row("Softmax", {}, (4,)),
    Row("Softmax", {"axis": (1, 2)}, (3, 4)),
]

MERGING = [
    *(Row(name, {}, [(3, 4), (3, 4), (3, 4)]) for name in ("Add", "Average", "Maximum")),
    *(Row(name, {}, [(3, 4), (1, 4)]) for name in ("Multiply", "Minimum", "Subtract")),
    Row("Add", {}, [(4,), (3, 4)]),
    Row("Concatenate", {}, [(3, 4), (3, 2)]),
    Row("Concatenate", {"axis": 1}, [(3, 4), (1, 4), (2, 4)]),
    Row("Dot", {"axes": 1}, [(4,), (4,)]),
    Row("Dot", {"axes": (2, 1), "normalize": True}, [(3, 4), (4, 2)]),
    Row("Dot", {"axes": (1, 2)}, [(4, 3, 2), (5, 4)]),
    Row("Dot", {"axes": -1}, [(4,), (3, 4)]),
]

RESHAPING = [
    Row("Flatten", {}, (3, 2, 4)),
    Row("Flatten", FIRST, (3, 2, 4)),
    Row("Flatten", {}, ()),
    Row("Reshape", {"target_shape": (2, -1)}, (3, 4)),
    Row("Permute", {"dims": (2, 3, 1)}, (3, 2, 4)),
    Row("RepeatVector", {"n": 3}, (4,)),
    Row("UpSampling1D", {}, SERIES),
    Row("UpSampling2D", {"size": (2, 3)}, (2, 3, 4)),
    Row("UpSampling2D", {"interpolation": "bilinear"}, (2, 3, 4)),
    Row("UpSampling2D", {"size": 3, **FIRST}, (4, 2, 3)),
    Row("ZeroPadding1D", {"padding": (1, 2)}, SERIES),
    Row("ZeroPadding2D", {"padding": 2}, (2, 3, 4)),
    Row("ZeroPadding2D", {"padding": ((1, 0), (2, 3)), **FIRST}, (4, 2, 3)),
    Row("Cropping1D", {}, SERIES),
    Row("Cropping2D", {"cropping": (2, 1)}, IMAGE),
    Row("Cropping2D", {"cropping": ((1, 0), (2, 0)), **FIRST}, (4, 6, 5)),
    Row("CenterCrop", {"height": 3, "width": 2}, IMAGE),
    Row("Resizing", {"height": 4, "width": 7}, (3, 5, 2)),
    Row("Resizing", {"height": 2, "width": 9, "interpolation": "nearest"}, (3, 5, 2)),
    Row("Resizing", {"height": 4, "width": 3, "crop_to_aspect_ratio": True}, (5, 6, 2)),
    Row("Rescaling", {"scale": 2.0, "offset": -1.0}, (4,)),
    Row("Rescaling", {"scale": 1 / 255}, (4,), "uint8"),
    Row("Normalization", {}, (3, 4)),
    Row("Normalization", {"axis": (1, 2), "invert": True}, (3, 4)),
    Row("Normalization", {"mean": 2.0, "variance": 3.0}, (4,)),
    Row("Normalization", {"mean": [1.0, 2.0], "variance": [3.0, 0.0]}, (3, 2)),
]

RECURRENT = [
    Row("SimpleRNN", {"units": 3}, (2, 4)),
    Row("LSTM", {"units": 3, "return_sequences": True}, (2, 4)),
    Row("GRU", {"units": 3, "reset_after": False, "go_backwards": True}, (2, 4)),
    Row("GRU", {"units": 3, "dropout": 0.5, "recurrent_dropout": 0.5}, (2, 4), is_random=True),
    Row("RNN", {"cell": Row("LSTMCell", {"units": 2}, (4,))}, (2, 4)),
    Row("Bidirectional", {"layer": Row("GRU", {"units": 3}, (2, 4))}, (2, 4)),
    Row("TimeDistributed", {"layer": Row("Dense", {"units": 3}, (4,))}, (2, 4)),
]

ATTENTION = [
    Row("Attention", {"use_scale": True}, [(2, 3), (4, 3)]),
    Row("Attention", {"dropout": 0.5}, [(2, 3), (4, 3)], is_random=True),
    Row("AdditiveAttention", {}, [(2, 3), (4, 2), (4, 3)]),
]

LAYERS = [
    *DENSE,
    *CONVOLUTIONS,
    *POOLING,
    *NORMALIZATION,
    *NOISE,
    *ACTIVATIONS,
    *MERGING,
    *RESHAPING,
]

SEQUENCES = [*RECURRENT, *ATTENTION]
"""Layers that are compared with Keras's elsewhere."""
