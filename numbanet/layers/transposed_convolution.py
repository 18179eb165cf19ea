"""Transposed convolutions: the data gradients of convolutions as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.layers.convolution import Filters, Sizes, as_in_keras
from numbanet.layers.spatial import pair
from numbanet.ops.leaf import variable_value


class _ConvTranspose(Filters):
    """``activation(transposed convolution(x, kernel) + bias)``."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        **options: Any,
    ) -> None:
        options |= {"data_format": data_format, "dilation_rate": dilation_rate}
        super().__init__(filters, kernel_size, strides, padding, **options)
        self.output_padding = self._more(output_padding)

    def _more(self, more: Sizes | None) -> tuple[int | None, ...]:
        if more is None:
            return (None,) * self.rank
        listed = tuple(more) if isinstance(more, Sequence) else (more,) * self.rank
        fits = len(listed) == self.rank and all(
            isinstance(n, int) and 0 <= n < stride
            for n, stride in zip(listed, self.strides, strict=True)
        )
        if not fits:
            raise ArgumentError(
                "output_padding is not negative and less than the stride",
                got=repr(more),
                expected=f"below {self.strides}",
            )
        return listed

    def build(self, x: Value) -> None:
        shape = (*self.kernel_size, self.filters, self.channels(x))
        self.kernel = self.weight("kernel", shape, x.dtype, layout=self.kernel_layout)
        self.make_bias(x, self.filters)

    def forward(self, x: Value) -> Value:
        self.check_channels(x, self.kernel.shape[-1])
        return super().forward(x)

    def images(self, x: Value) -> Value:
        edges = [
            self._edges(*each)
            for each in zip(
                self.kernel_size,
                self.strides,
                self.dilation_rate,
                self.output_padding,
                strict=True,
            )
        ]
        rows, columns = edges if self.rank == 2 else ((0, 0, 0), *edges)
        y = ops.conv2d_transpose(
            x,
            self.window(variable_value(self.kernel)),
            stride=pair(self.strides),
            padding=(rows[:2], columns[:2]),
            output_padding=(rows[2], columns[2]),
            dilation=pair(self.dilation_rate),
        )
        return self.biased(y)

    def _edges(
        self, kernel: int, stride: int, dilation: int, more: int | None
    ) -> tuple[int, int, int]:
        """What is cut off before and after all that the windows reach, and what is added.

        ``"valid"`` keeps all, but no less than a stride for each input; ``"same"`` keeps a
        stride for each input. ``output_padding`` counts from where a convolution that pads
        half of its kernel on both sides would begin and end.
        """
        reach = (kernel - 1) * dilation + 1
        if self.padding == "valid":
            return 0, 0, max(stride - reach, 0) if more is None else more
        total = reach - stride if more is None else reach - reach % 2 - more
        before = max(total // 2, 0)
        after = total - before
        return before, max(after, 0), max(-after, 0)


@as_in_keras
class Conv1DTranspose(_ConvTranspose):
    """A transposed convolution of ``(batch, steps, channels)``; see `Conv2DTranspose`.

    Parameters
    ----------
    filters, kernel_size, strides, output_padding, dilation_rate : int
    **options
        All as of `Conv2DTranspose`. The kernel is ``(size, filters, channels)``.
    """

    rank = 1


@as_in_keras
class Conv2DTranspose(_ConvTranspose):
    """A transposed convolution: the data gradient of `Conv2D` as a layer.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides : int or (int, int)
    padding : {"valid", "same"}
        ``"same"`` gives ``stride`` times the size; ``"valid"`` all that the windows reach.
    output_padding : int or (int, int), optional
        Less than the strides: another size of the result, for which ``"same"`` cuts half a
        kernel off on each side.
    **options
        All others as of `Conv2D`.

    Attributes
    ----------
    kernel : Variable
        Of shape (kernel height, kernel width, filters, channels).
    bias : Variable or None
        Of shape (filters,).
    """
