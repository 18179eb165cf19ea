"""Convolutions of channels-last images, with weights ``[out][kh][kw][in]``.

Convolution, its data gradient and its weight gradient are three bilinear maps of one family:
each one's gradients are the other two, so that gradients of any order exist. (Dumoulin and
Visin, "A guide to convolution arithmetic for deep learning", 2016.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import Shape, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.checks import require_rank
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.epilogue import apply_epilogue, epilogue_type, refuse_epilogue
from numbanet.ops.expression import Expression
from numbanet.ops.shapes import expand_dims, squeeze
from numbanet.ops.slices import pad
from numbanet.ops.window import (
    Padding,
    Pair,
    as_pair,
    extent,
    output_size,
    pad_images,
    resolve_padding,
    taps,
)


@dataclass(frozen=True)
class ConvolutionAttrs(Attrs):
    """How the window moves; what the three ops have in common."""

    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def geometry(self) -> tuple[Pair, Padding, Pair, int]:
        return self.stride, self.padding, self.dilation, self.groups


@dataclass(frozen=True)
class Conv2dAttrs(ConvolutionAttrs):
    epilogue: Expression | None = None


@dataclass(frozen=True)
class Conv2dTransposeAttrs(ConvolutionAttrs):
    """``size`` is the height and width of the result: several sizes convolve to one."""

    size: Pair = (1, 1)
    epilogue: Expression | None = None


@dataclass(frozen=True)
class Conv2dWeightGradAttrs(ConvolutionAttrs):
    kernel: Pair = (1, 1)


def conv2d(
    x: Value,
    w: Value,
    *,
    stride: int | Pair = 1,
    padding: Any = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Value:
    """Two-dimensional convolution (cross-correlation, as everywhere in this field).

    Parameters
    ----------
    x : Value
        Images ``[N, H, W, C]``; N may be unknown.
    w : Value
        Weights ``[O, kh, kw, C / groups]``.
    stride, dilation : int or (int, int)
        Steps of the window, and of the pixels within it.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the images. ``"same"`` pads as Keras does, more at the end when odd.
    groups : int
        Output channels of group i see the input channels of group i only.

    Returns
    -------
    Value
        ``[N, OH, OW, O]``.

    Raises
    ------
    ShapeError
        If channels do not meet, or the window does not fit into the padded image.
    ArgumentError
        If an argument is not of the forms above.
    """
    require_rank("conv2d", "weights", w.type, "O, kh, kw, C / groups")
    require_rank("conv2d", "images", x.type, "N, H, W, C")
    steps, dilations = as_pair("stride", stride), as_pair("dilation", dilation)
    resolved = resolve_padding(padding, x.shape[1:3], _kernel(w.type), steps, dilations)
    return CONV2D(x, w, attrs=Conv2dAttrs(steps, resolved, dilations, groups))


def conv1d(
    x: Value,
    w: Value,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Value:
    """One-dimensional convolution: `conv2d` of images that are one pixel high.

    Parameters
    ----------
    x : Value
        ``[N, L, C]``; N may be unknown.
    w : Value
        Weights ``[O, k, C / groups]``.
    stride, dilation, groups : int
        As in `conv2d`.
    padding : int, (before, after), "same" or "valid"

    Returns
    -------
    Value
        ``[N, OL, O]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `conv2d`.
    """
    require_rank("conv1d", "weights", w.type, "O, k, C / groups")
    require_rank("conv1d", "series", x.type, "N, L, C")
    if not isinstance(padding, str):
        padding = ((0, 0), as_pair("padding", padding, 0))
    y = conv2d(
        expand_dims(x, 1),
        expand_dims(w, 1),
        stride=(1, stride),
        padding=padding,
        dilation=(1, dilation),
        groups=groups,
    )
    return squeeze(y, 1)


def conv2d_transpose(
    x: Value,
    w: Value,
    *,
    stride: int | Pair = 1,
    padding: Any = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Value:
    """Transposed convolution: the data gradient of `conv2d` as a forward op.

    Parameters
    ----------
    x : Value
        Images ``[N, H, W, C]``; N may be unknown.
    w : Value
        Weights ``[C, kh, kw, O / groups]``: those of the convolution that it transposes.
    stride, dilation : int or (int, int)
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        What the convolution pads, so it is cropped here. ``"same"`` gives images of ``stride``
        times the size, as Keras does.
    output_padding : int or (int, int)
        Rows and columns more at the end, less than the stride or the dilation: of the sizes
        that a strided convolution maps to one, this chooses a larger. Not with ``"same"``.
    groups : int

    Returns
    -------
    Value
        ``[N, (H - 1) * stride - padding + extent + output_padding, .., O]``, where extent is
        ``dilation * (k - 1) + 1``.

    Raises
    ------
    ShapeError, ArgumentError
        As `conv2d`.
    """
    require_rank("conv2d_transpose", "weights", w.type, "C, kh, kw, O / groups")
    require_rank("conv2d_transpose", "images", x.type, "N, H, W, C")
    steps, dilations = as_pair("stride", stride), as_pair("dilation", dilation)
    more = as_pair("output_padding", output_padding, 0)
    kernel, images = _kernel(w.type), _known_size("conv2d_transpose", x.type)
    if padding == "same":
        if more != (0, 0):
            raise ArgumentError('output_padding has no meaning with padding="same"')
        wanted = size = (images[0] * steps[0], images[1] * steps[1])
        resolved = resolve_padding("same", size, kernel, steps, dilations)
    else:
        if any(m >= max(pair) for m, *pair in zip(more, steps, dilations, strict=True)):
            raise ArgumentError(
                "output_padding must be smaller than the stride or the dilation",
                got=f"{more} for a stride of {steps} and a dilation of {dilations}",
            )
        cropped = resolve_padding(padding, images, kernel, steps, dilations)
        wanted = _transposed_size(images, kernel, steps, cropped, dilations, more)
        # Rows more at the end are rows that are not cropped, and then zeros: fewer than the
        # stride belong to the sizes that a convolution maps to this one, the rest does not.
        (top, bottom), (left, right) = cropped
        resolved = (top, max(bottom - more[0], 0)), (left, max(right - more[1], 0))
        least = _transposed_size(images, kernel, steps, resolved, dilations)
        size = min(wanted[0], least[0] + steps[0] - 1), min(wanted[1], least[1] + steps[1] - 1)
    attrs = Conv2dTransposeAttrs(steps, resolved, dilations, groups, size)
    y = CONV2D_TRANSPOSE(x, w, attrs=attrs)
    missing = [(0, whole - there) for whole, there in zip(wanted, size, strict=True)]
    return pad(y, ((0, 0), *missing, (0, 0)))


def _transposed_size(
    images: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    more: Pair = (0, 0),
) -> Pair:
    """The smallest size that a convolution maps to ``images``, and ``more`` pixels."""
    height, width = (
        (images[i] - 1) * stride[i] + extent(kernel[i], dilation[i]) - sum(padding[i]) + more[i]
        for i in range(2)
    )
    return height, width


def _known_size(name: str, images: TensorType) -> Pair:
    height, width = images.shape[1:3]
    if height is None or width is None:
        raise ShapeError(f"{name}() needs images of a known size", got=str(images))
    return height, width


def _kernel(w: TensorType) -> Pair:
    return w.sizes[1], w.sizes[2]


def _check(
    name: str, attrs: ConvolutionAttrs, x: Shape, w: Shape, y: Shape | None = None
) -> Shape:
    """Shape of the convolution of images ``x`` with weights ``w``; equal to ``y`` if given."""
    if attrs.groups < 1 or x[3] != (w[3] or 0) * attrs.groups or (w[0] or 0) % attrs.groups:
        raise ShapeError(
            f"{name}() has channels that do not meet",
            got=f"images of {x[3]} channels and weights {w} in {attrs.groups} groups",
            expected="weights [O, kh, kw, C / groups], with C and O multiples of groups",
        )
    window = (w[1] or 0, w[2] or 0)
    size = output_size(name, x[1:3], window, attrs.stride, attrs.padding, attrs.dilation)
    result = (x[0], *size, w[0])
    if y is not None and y != result:
        raise ShapeError(
            f"{name}() has sizes that do not belong together",
            got=str(y),
            expected=f"{result}, to which {x} convolves with weights {w}",
        )
    return result


def _outputs(attrs: ConvolutionAttrs, x: tuple[int, ...], w: tuple[int, ...]) -> Pair:
    window = (w[1], w[2])
    return output_size("conv2d", x[1:3], window, attrs.stride, attrs.padding, attrs.dilation)


def _grouped(array: np.ndarray, groups: int) -> np.ndarray:
    """``[N, H, W, C]`` as ``[N, H, W, groups, C / groups]``; for weights, see `_by_group`."""
    return array.reshape(*array.shape[:3], groups, array.shape[3] // groups)


def _by_group(w: np.ndarray, groups: int) -> np.ndarray:
    """``[O, kh, kw, C]`` as ``[groups, O / groups, kh, kw, C]``."""
    return w.reshape(groups, w.shape[0] // groups, *w.shape[1:])


def _reference(
    attrs: Conv2dAttrs, x: np.ndarray, w: np.ndarray, *extras: np.ndarray
) -> np.ndarray:
    n, channels = len(x), len(w)
    height, width = _outputs(attrs, x.shape, w.shape)
    images = _grouped(pad_images(x, attrs.padding), attrs.groups)
    weights = _by_group(w, attrs.groups)
    y = np.zeros((n, height, width, attrs.groups, channels // attrs.groups), x.dtype)
    for i, j, at in taps(w.shape[1:3], attrs.stride, (height, width), attrs.dilation):
        y += np.einsum("nhwgc,goc->nhwgo", images[at], weights[:, :, i, j])
    return apply_epilogue(attrs.epilogue, y.reshape(n, height, width, channels), extras)


def _reference_transpose(
    attrs: Conv2dTransposeAttrs, g: np.ndarray, w: np.ndarray, *extras: np.ndarray
) -> np.ndarray:
    (top, bottom), (left, right) = attrs.padding
    height, width = attrs.size
    groups, channels = attrs.groups, w.shape[3]
    padded = np.zeros(
        (len(g), top + height + bottom, left + width + right, groups, channels), g.dtype
    )
    gradients, weights = _grouped(g, groups), _by_group(w, groups)
    for i, j, at in taps(w.shape[1:3], attrs.stride, g.shape[1:3], attrs.dilation):
        padded[at] += np.einsum("nhwgo,goc->nhwgc", gradients, weights[:, :, i, j])
    cropped = padded[:, top : top + height, left : left + width]
    return apply_epilogue(
        attrs.epilogue, cropped.reshape(len(g), height, width, groups * channels), extras
    )


def _reference_weight_grad(
    attrs: Conv2dWeightGradAttrs, x: np.ndarray, g: np.ndarray
) -> np.ndarray:
    images = _grouped(pad_images(x, attrs.padding), attrs.groups)
    gradients = _grouped(g, attrs.groups)
    outputs, channels = g.shape[3], x.shape[3] // attrs.groups
    shape = (attrs.groups, outputs // attrs.groups, *attrs.kernel, channels)
    dw = np.zeros(shape, x.dtype)
    for i, j, at in taps(attrs.kernel, attrs.stride, g.shape[1:3], attrs.dilation):
        dw[:, :, i, j] = np.einsum("nhwgc,nhwgo->goc", images[at], gradients)
    return dw.reshape(outputs, *attrs.kernel, channels)


def _to_images(attrs: ConvolutionAttrs, g: Value, w: Value, x: Value) -> Value:
    size = _known_size("conv2d", x.type)
    return CONV2D_TRANSPOSE(g, w, attrs=Conv2dTransposeAttrs(*attrs.geometry, size))


def _to_weights(attrs: ConvolutionAttrs, x: Value, g: Value, w: Value) -> Value:
    attrs = Conv2dWeightGradAttrs(*attrs.geometry, _kernel(w.type))
    return CONV2D_WEIGHT_GRAD(x, g, attrs=attrs)


def _gradient(node: Node, g: Value) -> tuple[Value, Value]:
    attrs = attrs_of(node, Conv2dAttrs)
    refuse_epilogue(node, attrs.epilogue)
    x, w = node.inputs
    return _to_images(attrs, g, w, x), _to_weights(attrs, x, g, w)


def _gradient_transpose(node: Node, dx: Value) -> tuple[Value, Value]:
    attrs = attrs_of(node, Conv2dTransposeAttrs)
    refuse_epilogue(node, attrs.epilogue)
    g, w = node.inputs
    return CONV2D(dx, w, attrs=Conv2dAttrs(*attrs.geometry)), _to_weights(attrs, dx, g, w)


def _gradient_weight_grad(node: Node, dw: Value) -> tuple[Value, Value]:
    attrs = attrs_of(node, Conv2dWeightGradAttrs)
    x, g = node.inputs
    return _to_images(attrs, g, dw, x), CONV2D(x, dw, attrs=Conv2dAttrs(*attrs.geometry))


_CASES = (
    # images, weights, attributes of the convolution
    ((2, 5, 7, 3), (4, 3, 3, 3), Conv2dAttrs()),
    ((1, 1, 1, 1), (1, 1, 1, 1), Conv2dAttrs()),
    ((2, 6, 5, 2), (3, 3, 2, 2), Conv2dAttrs((2, 1), ((1, 1), (0, 1)))),
    ((1, 7, 9, 2), (3, 3, 3, 2), Conv2dAttrs((2, 3), ((1, 1), (2, 2)))),
    ((1, 7, 8, 4), (6, 2, 3, 2), Conv2dAttrs((1, 2), ((1, 2), (2, 0)), (2, 3), 2)),
    ((2, 4, 5, 3), (6, 3, 3, 1), Conv2dAttrs((1, 1), ((1, 1), (1, 1)), (1, 1), 3)),
    ((3, 2, 2, 5), (7, 1, 1, 5), Conv2dAttrs((2, 2))),
    ((0, 4, 4, 2), (3, 3, 3, 2), Conv2dAttrs()),
)


def _record(
    name: str,
    roles: str,
    attrs_for: Callable[[ConvolutionAttrs, Any, Any], ConvolutionAttrs],
    missing: Callable[[Any, Shape, Shape], Shape | None],
    reference: Callable[..., np.ndarray],
    gradient: Callable[..., tuple[Value, Value]],
) -> Op:
    """One of three maps: of a convolution's images x, weights w and outputs y, it takes two.

    Parameters
    ----------
    name : str
    roles : str
        Which two it takes, and which it gives: ``"xwy"``.
    attrs_for : callable
        Its attributes, from those of a convolution of images and weights of these shapes.
    missing : callable
        ``(attrs, first, second) -> shape`` of what it gives, None if that follows.
    reference, gradient : callable
        Rules of the op.
    """

    def infer(
        attrs: ConvolutionAttrs, first: TensorType, second: TensorType, *extras: TensorType
    ) -> TensorType:
        dtype = common_dtype(name, (first, second), FLOATING)
        given = missing(attrs, first.shape, second.shape)
        shapes: dict[str, Any] = dict(
            zip(roles, (first.shape, second.shape, given), strict=True)
        )
        convolved = _check(name, attrs, **shapes)
        result = TensorType(given or convolved, dtype)
        return epilogue_type(name, getattr(attrs, "epilogue", None), result, extras)

    def flops(node: Node) -> int:
        """Two for every pair of an output and a weight of its channel, padding included."""
        types = [value.type for value in (*node.inputs[:2], node.outputs[0])]
        y, w = types[roles.index("y")], types[roles.index("w")]
        return 2 * y.size * (w.size // max(w.sizes[0], 1))

    def case(x: tuple[int, ...], w: tuple[int, ...], attrs: ConvolutionAttrs) -> Case:
        shapes = {"x": x, "w": w, "y": (x[0], *_outputs(attrs, x, w), w[0])}
        args = tuple(Arg(shapes[role]) for role in roles[:2])
        return Case(args, attrs_for(attrs, x, w))

    cases = tuple(case(*each) for each in _CASES)
    return register(Op(name, infer, reference, gradient, flops=flops, cases=cases))


CONV2D = _record(
    "conv2d",
    "xwy",
    lambda attrs, x, w: attrs,
    lambda attrs, x, w: None,
    _reference,
    _gradient,
)
"""``(x, w, *extras)``."""

CONV2D_TRANSPOSE = _record(
    "conv2d_transpose",
    "ywx",
    lambda attrs, x, w: Conv2dTransposeAttrs(*attrs.geometry, x[1:3]),
    lambda attrs, y, w: (y[0], *attrs.size, (w[3] or 0) * attrs.groups),
    _reference_transpose,
    _gradient_transpose,
)
"""``(g, w, *extras)``: the gradient of a convolution's images, given that of its result."""

CONV2D_WEIGHT_GRAD = _record(
    "conv2d_weight_grad",
    "xyw",
    lambda attrs, x, w: Conv2dWeightGradAttrs(*attrs.geometry, w[1:3]),
    lambda attrs, x, y: (y[3], *attrs.kernel, (x[3] or 0) // attrs.groups),
    _reference_weight_grad,
    _gradient_weight_grad,
)
"""``(x, g)``: the gradient of a convolution's weights, given that of its result."""
