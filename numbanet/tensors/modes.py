"""Whether operations on tensors are recorded for gradients."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class _Modes(threading.local):
    grad = True


MODES = _Modes()
"""``MODES.grad``: whether results of tensors that require gradients require them too."""


def is_grad_enabled() -> bool:
    """Whether operations are recorded for gradients on this thread."""
    return MODES.grad


class set_grad_enabled:  # noqa: N801 - PyTorch's name
    """Switches gradients on or off: at once, and until the end of a ``with`` block if used so.

    Parameters
    ----------
    mode : bool
    """

    def __init__(self, mode: bool) -> None:
        self._before = MODES.grad
        self.mode = bool(mode)
        MODES.grad = self.mode

    def __enter__(self) -> None:
        MODES.grad = self.mode

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        MODES.grad = self._before


class _Mode:
    """A context manager, and a decorator, that sets ``MODES.grad``; it nests."""

    grad = True

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(MODES.grad)
        MODES.grad = self.grad

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        MODES.grad = self._before.pop()

    def __call__(self, function: Function) -> Function:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class no_grad(_Mode):  # noqa: N801 - PyTorch's name
    """No gradients for what is computed in the block, or in the decorated function."""

    grad = False


class enable_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Gradients again, within a block without them."""


class inference_mode(no_grad):  # noqa: N801 - PyTorch's name
    """The same as `no_grad`.

    Parameters
    ----------
    mode : bool
    """

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.grad = not mode
