"""Results without their gradients."""

from __future__ import annotations

from numbanet import ops
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function


def _detached(input: Value) -> Value:
    return ops.stop_gradient(input)


_detached.detaches = True  # type: ignore[attr-defined]
_detached.is_view = True  # type: ignore[attr-defined]

detached = tensor_function(_detached)
"""The same numbers, through which no gradient flows."""
