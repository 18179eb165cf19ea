"""Functions whose gradient their author states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import GraphError
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.flow import Edge, Gradient
from numbanet.tensors.modes import MODES, no_grad
from numbanet.tensors.tensor import Tensor


class FunctionCtx:
    """What ``forward`` leaves for ``backward``: any attribute, and tensors.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        Of each argument, whether ``backward`` has to say its gradient.
    saved_tensors : tuple of Tensor
    """

    needs_input_grad: tuple[bool, ...] = ()
    saved_tensors: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self._constant: set[int] = set()
        self._fills = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors as ``saved_tensors``."""
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Let these results have no gradient."""
        self._constant |= {id(tensor) for tensor in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros, and not None, for results without a gradient."""
        self._fills = value

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Not supported: a function returns new tensors."""
        raise NotImplementedError("mark_dirty(): a function returns new tensors")

    def filled(self, result: Any, gradient: Gradient) -> Gradient:
        """``gradient``, or zeros in its place if they are wanted."""
        if gradient is not None or not (self._fills and isinstance(result, Tensor)):
            return gradient
        return Tensor.wrap(np.zeros(result.tensor_type.sizes, result.dtype.numpy))


class Function:
    """Base of functions with a ``backward`` of their own; they are called by `apply`.

    A subclass has static methods ``forward(ctx, *args)``, or ``forward(*args)`` and
    ``setup_context(ctx, inputs, output)``; and ``backward(ctx, *gradients)``, which returns a
    gradient, or None, for each argument.

    Examples
    --------
    >>> class Clipped(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x.clone()
    ...
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         return gradient.clamp(-1, 1)
    """

    forward: Any = None
    setup_context: Any = None
    backward: Any = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """The results of ``forward``, whose gradients go through ``backward``."""
        if cls.forward is None or cls.backward is None:
            raise NotImplementedError("a Function implements forward() and backward()")
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(
            isinstance(each, Tensor) and each.requires_grad for each in args
        )
        with no_grad():
            if cls.setup_context is None:
                returned = cls.forward(ctx, *args)
            else:
                returned = cls.forward(*args)
                cls.setup_context(ctx, args, returned)
        if not (MODES.grad and any(ctx.needs_input_grad)):
            return returned
        results = cls._connected(ctx, args, returned)
        return results if isinstance(returned, tuple) else results[0]

    @classmethod
    def _connected(cls, ctx: FunctionCtx, args: tuple[Any, ...], returned: Any) -> Any:
        """What ``forward`` returned, as results of the arguments that need gradients."""
        given = list(returned) if isinstance(returned, tuple) else [returned]
        moving = [
            position
            for position, each in enumerate(given)
            if isinstance(each, Tensor)
            and each.dtype.is_floating
            and id(each) not in ctx._constant
        ]
        inputs = [each for each, needs in zip(args, ctx.needs_input_grad, strict=True) if needs]
        results = _connect([given[position] for position in moving], inputs)

        def backward(gradients: list[Gradient]) -> Sequence[Gradient]:
            known = dict(zip(moving, gradients, strict=True))
            filled = [ctx.filled(each, known.get(i)) for i, each in enumerate(given)]
            return cls._gradients(ctx, filled)

        trace = results[0].trace
        trace.edges.append(Edge(tuple(each.slot for each in results), backward, inputs))
        for position, result in zip(moving, results, strict=True):
            given[position] = result
        return tuple(given)

    @classmethod
    def _gradients(cls, ctx: FunctionCtx, gradients: list[Any]) -> list[Gradient]:
        """What ``backward`` says of the arguments that need it."""
        found = cls.backward(ctx, *gradients)
        listed = list(found) if isinstance(found, tuple) else [found]
        needs = ctx.needs_input_grad
        if len(listed) < len(needs) or any(each is not None for each in listed[len(needs) :]):
            raise GraphError(
                f"backward() of {cls.__name__} returns a gradient for each argument",
                got=str(len(listed)),
                expected=str(len(needs)),
            )
        return [each for each, needed in zip(listed, needs, strict=False) if needed]


@tensor_function
def _connect(results: Sequence[Value], inputs: Sequence[Value]) -> tuple[Value, ...]:
    """``results``, which require gradients as ``inputs`` do, and have no way to them."""
    return tuple(ops.stop_gradient(result) for result in results)
