"""How PyTorch keeps the weights of a layer: its names, and its order of axes and gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rule:
    """Where a weight comes from.

    Attributes
    ----------
    sources : tuple of str
        Names of PyTorch's tensors within the module.
    convert : callable
        From those arrays, and the shape that is wanted, to the weight.
    text : str
        What it does, for reports.
    """

    sources: tuple[str, ...]
    convert: Callable[..., np.ndarray]
    text: str = ""


def same(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The rule for arrays that both sides keep alike."""
    return array


def _linear(weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return weight.T


def _kernel(weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``[out, in, *window]`` to ``[*window, in, out]``; of a transposed convolution
    ``[in, out, *window]`` to ``[*window, out, in]``."""
    return weight.transpose(*range(2, weight.ndim), 1, 0)


def _depthwise(weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``[in * multiplier, 1, *window]`` to ``[*window, in, multiplier]``."""
    *window, channels, multiplier = shape
    return np.moveaxis(weight.reshape(channels, multiplier, *window), (0, 1), (-2, -1))


def _sum(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return first + second


def _gates(array: np.ndarray) -> np.ndarray:
    """PyTorch's reset, update, new as Keras's update, reset, new."""
    reset, update, new = np.split(array, 3)
    return np.concatenate([update, reset, new])


def _gru_kernel(weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return _gates(weight).T


def _gru_bias(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.stack([_gates(first), _gates(second)])


def _head(part: int) -> Callable[..., np.ndarray]:
    """A third of what PyTorch projects at once: queries, keys or values, by heads."""

    def convert(whole: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.split(whole, 3)[part].T.reshape(shape)

    return convert


def _joined_heads(weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return weight.T.reshape(shape)


_BIAS = Rule(("bias",), same)
_CONVOLUTION = {"kernel": Rule(("weight",), _kernel, "OI... -> ...IO"), "bias": _BIAS}
_TRANSPOSED = {"kernel": Rule(("weight",), _kernel, "IO... -> ...OI"), "bias": _BIAS}
_DEPTHWISE = {"kernel": Rule(("weight",), _depthwise, "depthwise -> ...IM"), "bias": _BIAS}
_NORM = {"gamma": Rule(("weight",), same), "beta": _BIAS}
_RECURRENT = {
    "kernel": Rule(("weight_ih_l0",), _linear, "transposed"),
    "recurrent_kernel": Rule(("weight_hh_l0",), _linear, "transposed"),
    "bias": Rule(("bias_ih_l0", "bias_hh_l0"), _sum, "summed"),
}

RULES: Mapping[str, Mapping[str, Rule]] = {
    "Dense": {"kernel": Rule(("weight",), _linear, "transposed"), "bias": _BIAS},
    "Conv1D": _CONVOLUTION,
    "Conv2D": _CONVOLUTION,
    "Conv1DTranspose": _TRANSPOSED,
    "Conv2DTranspose": _TRANSPOSED,
    "DepthwiseConv1D": _DEPTHWISE,
    "DepthwiseConv2D": _DEPTHWISE,
    "BatchNormalization": {
        **_NORM,
        "moving_mean": Rule(("running_mean",), same),
        "moving_variance": Rule(("running_var",), same),
    },
    "LayerNormalization": _NORM,
    "GroupNormalization": _NORM,
    "RMSNormalization": {"scale": Rule(("weight",), same)},
    "Embedding": {"embeddings": Rule(("weight",), same)},
    "SimpleRNNCell": _RECURRENT,
    "LSTMCell": _RECURRENT,
    "GRUCell": {
        "kernel": Rule(("weight_ih_l0",), _gru_kernel, "transposed, gates reordered"),
        "recurrent_kernel": Rule(("weight_hh_l0",), _gru_kernel, "transposed, gates reordered"),
        "bias": Rule(("bias_ih_l0", "bias_hh_l0"), _gru_bias, "stacked, gates reordered"),
    },
    **{
        f"MultiHeadAttention.{name}_dense": {
            "kernel": Rule(("in_proj_weight",), _head(part), f"{name} third, by heads"),
            "bias": Rule(("in_proj_bias",), _head(part), f"{name} third, by heads"),
        }
        for part, name in enumerate(("query", "key", "value"))
    },
    "MultiHeadAttention.output_dense": {
        "kernel": Rule(("out_proj.weight",), _joined_heads, "transposed, by heads"),
        "bias": Rule(("out_proj.bias",), same),
    },
}
"""By class of layer, or of a layer's part, and name of its weight."""

IGNORED = "num_batches_tracked"
"""A counter of PyTorch's batch norm that matters only without a momentum."""
