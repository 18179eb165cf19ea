"""The fully connected layer."""

from __future__ import annotations

from numbanet import initializers, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers import activation as activations
from numbanet.layers.activation import ActivationLike
from numbanet.layers.module import Module, is_size
from numbanet.ops.leaf import variable_value


class Dense(Module):
    """``activation(x @ kernel + bias)`` along the last axis.

    Takes ``(batch, features)`` or ``(batch, steps, features)``. Images are refused: a missing
    ``Flatten()`` is far more likely than a wish for a dense layer at every pixel, which
    ``Conv2D(units, 1)`` states.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str, Initializer or callable
    name : str, optional

    Attributes
    ----------
    kernel : Variable
        Of shape (features, units).
    bias : Variable or None
        Of shape (units,).

    Raises
    ------
    ShapeError
        On an input of another rank, or of another number of features than the first one had.
    """

    kernel: Variable
    bias: Variable | None = None

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not is_size(units):
            raise ArgumentError("Dense takes a positive number of units", got=repr(units))
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, x: Value) -> None:
        features = self._features(x)
        fans = (features, self.units)
        self.kernel = self.parameter(
            "kernel", (features, self.units), self.kernel_initializer, dtype=x.dtype, fans=fans
        )
        if self.use_bias:
            self.bias = self.parameter(
                "bias", (self.units,), self.bias_initializer, dtype=x.dtype, fans=fans
            )

    def forward(self, x: Value) -> Value:
        expected = self.kernel.type.sizes[0]
        if self._features(x) != expected:
            raise ShapeError(
                f"{self.label} has weights for {expected} features",
                got=str(x.shape),
                expected=f"(batch, {expected})",
                mend="Use another layer, or bring the input to that width",
            )
        y = ops.matmul(x, variable_value(self.kernel))
        if self.bias is not None:
            y = y + variable_value(self.bias)
        return self.activation(y)

    def _features(self, x: Value) -> int:
        features = x.shape[-1] if x.rank in (2, 3) else None
        if features is None:
            raise ShapeError(
                f"{self.label} takes (batch, features)",
                got=str(x.shape),
                expected="2 axes, or 3 for (batch, steps, features)",
                mend="To connect every element, add Flatten() before it"
                + ("; for a layer at every pixel, use Conv2D(units, 1)" if x.rank == 4 else ""),
            )
        return features
