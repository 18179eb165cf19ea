"""What Keras's layers share: a dtype, an activity regularizer, and weights with options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numbanet import constraints, initializers, regularizers
from numbanet.constraints import ConstraintLike
from numbanet.initializers import Fans, InitializerLike, fans_of
from numbanet.ir import DType, Value, Variable
from numbanet.layers.calls import only_inputs, only_outputs
from numbanet.layers.masks import mask_of, with_mask
from numbanet.layers.module import Module
from numbanet.layers.ownership import Constraint, Regularizer
from numbanet.layers.penalties import current_penalties
from numbanet.layers.structure import flatten, map_leaves
from numbanet.ops.casts import cast
from numbanet.regularizers import RegularizerLike

UNSUPPORTED = {
    "autocast": True,
    "gptq_unpacked_column_size": None,
    "lora_alpha": None,
    "lora_rank": None,
    "quantization_config": None,
}
"""Arguments of Keras's that raise NotImplementedError for all but these values."""


@dataclass(frozen=True)
class Options:
    """How a weight starts, what it costs, and where it must stay."""

    initializer: Callable[..., Any]
    regularizer: Regularizer | None = None
    constraint: Constraint | None = None


class Layer(Module):
    """A module with the arguments that all of Keras's layers take.

    Parameters
    ----------
    activity_regularizer : str or callable, optional
        Of each output; what it gives is divided by the batch size, and added to the loss.
    trainable : bool
    dtype : str, optional
        Floating-point inputs are converted to it, and weights have it. By default it is the
        first input's.
    name : str, optional
    input_shape : sequence of int, optional
        Shape of a sample: a `Sequential` that starts with the layer starts with an `Input` of
        it.
    input_dim : int, optional
        Short for ``input_shape=(input_dim,)``.

    Raises
    ------
    NotImplementedError
        For an argument that Keras has and this does not.
    """

    def __init__(
        self,
        *,
        activity_regularizer: RegularizerLike = None,
        trainable: bool = True,
        dtype: str | DType | None = None,
        name: str | None = None,
        input_shape: Sequence[int] | None = None,
        input_dim: int | None = None,
        **others: Any,
    ) -> None:
        super().__init__(name)
        for argument, value in others.items():
            if argument not in UNSUPPORTED:
                raise TypeError(f"{type(self).__name__}() has no argument {argument!r}")
            self.refuse(argument, value, UNSUPPORTED[argument])
        self.first_shape = (input_dim,) if input_dim is not None else input_shape
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.trainable = trainable
        self.dtype = None if dtype is None else DType.of(dtype)
        self._options: dict[str, Options] = {}

    def refuse(self, argument: str, value: Any, default: Any = None) -> None:
        """Raise NotImplementedError unless ``value`` is the argument's default, or None."""
        if value is not None and value is not default and value != default:
            raise NotImplementedError(
                f"{type(self).__name__} does not support {argument}={value!r}"
            )

    def record(self, *args: Any, **kwargs: Any) -> Any:
        """Record as modules do, in the layer's dtype."""
        args, kwargs = map_leaves(self._converted, [args, kwargs])
        outputs = super().record(*args, **kwargs)
        if self.activity_regularizer is not None and current_penalties() is not None:
            for leaf in flatten(outputs):
                self.add_loss(self.activity_regularizer(leaf) / float(leaf.type.sizes[0]))
        return outputs

    def _converted(self, leaf: Any) -> Any:
        is_float = isinstance(leaf, Value) and leaf.dtype.is_floating
        if self.dtype is None or not is_float:
            return leaf
        return with_mask(cast(leaf, self.dtype), mask_of(leaf))

    def floating(self, x: Value) -> Value:
        """``x``, where it holds integers converted to the layer's dtype."""
        return x if x.dtype.is_floating else cast(x, self.dtype or DType.FLOAT32)

    @property
    def input(self) -> Any:
        """What the layer was called on, in a list if that was several values.

        Raises
        ------
        CallError
            Unless the layer was called once, in a model or by itself.
        """
        return _one_or_all(only_inputs(self))

    @property
    def output(self) -> Any:
        """What the layer returned when it was called, in a list if that was several values.

        Raises
        ------
        CallError
            Unless the layer was called once, in a model or by itself.

        Examples
        --------
        >>> features = Model(model.input, model.get_layer("pool").output)
        """
        return _one_or_all(only_outputs(self))

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: InitializerLike = "glorot_uniform",
        dtype: str | DType | None = None,
        trainable: bool = True,
        *,
        regularizer: RegularizerLike = None,
        constraint: ConstraintLike = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable, described and made at once, as layers written for Keras do.

        Parameters
        ----------
        shape : sequence of int
        initializer : str, Initializer or callable
        dtype : str, optional
            By default the layer's, or float32.
        trainable : bool
        regularizer, constraint : str or callable, optional
        name : str, optional
        """
        name = name or f"weight_{len(self._options)}"
        self.describe(name, initializer, regularizer, constraint)
        kind = DType.of(dtype) if dtype is not None else self.dtype or DType.FLOAT32
        return self.weight(name, tuple(shape), kind, trainable=trainable)

    def describe(
        self,
        weight: str,
        initializer: InitializerLike,
        regularizer: RegularizerLike = None,
        constraint: ConstraintLike = None,
    ) -> None:
        """Keep how ``weight`` is to be made, once its shape is known."""
        self._options[weight] = Options(
            initializers.get(initializer),
            regularizers.get(regularizer),
            constraints.get(constraint),
        )

    def weight(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DType,
        *,
        fans: Fans | None = None,
        layout: tuple[int, ...] | None = None,
        trainable: bool = True,
    ) -> Variable:
        """A new variable, made as described.

        Parameters
        ----------
        name : str
        shape : tuple of int
            In Keras's order of axes.
        dtype : DType
        fans : (int, int), optional
            By default those of the shape.
        layout : tuple of int, optional
            The order of axes in which kernels want it; see `numbanet.ir.Variable`.
        trainable : bool
        """
        options = self._options[name]
        return self.parameter(
            name,
            shape,
            options.initializer,
            dtype=dtype,
            fans=fans_of(shape) if fans is None else fans,
            trainable=trainable,
            layout=layout,
            regularizer=options.regularizer,
            constraint=options.constraint,
        )


def _one_or_all(values: list[Value]) -> Any:
    return values[0] if len(values) == 1 else values
