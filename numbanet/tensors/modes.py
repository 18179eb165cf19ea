"""Whether operations on tensors are recorded for gradients."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
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


class _Mode:
    """A context manager, and a decorator, that sets ``MODES.grad``; it nests."""

    def __init__(self, grad: bool) -> None:
        self.grad = grad
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
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with _Mode(self.grad):
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _around_generator(self, function: Any) -> Any:
        """A generator that is in this mode while it runs, and not between its values."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
            inner, sent = function(*args, **kwargs), None
            while True:
                try:
                    with _Mode(self.grad):
                        value = inner.send(sent)
                except StopIteration as end:
                    return end.value
                sent = yield value

        return wrapped


class set_grad_enabled(_Mode):  # noqa: N801 - PyTorch's name
    """Switches gradients on or off: at once, and until the end of a ``with`` block if used so.

    As a decorator it does so in the function only.

    Parameters
    ----------
    mode : bool
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self._before.append(MODES.grad)
        MODES.grad = self.grad

    def __enter__(self) -> None:
        MODES.grad = self.grad

    def __call__(self, function: Function) -> Function:
        MODES.grad = self._before.pop()
        return super().__call__(function)


class _Fixed(_Mode):
    """A mode that may decorate without being called: ``@no_grad``."""

    def __new__(cls, *given: Any, **named: Any) -> Any:
        if given and callable(given[0]):
            return cls()(given[0])
        return super().__new__(cls)


class no_grad(_Fixed):  # noqa: N801 - PyTorch's name
    """No gradients for what is computed in the block, or in the decorated function."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_Fixed):  # noqa: N801 - PyTorch's name
    """Gradients again, within a block without them."""

    def __init__(self) -> None:
        super().__init__(True)


class inference_mode(_Fixed):  # noqa: N801 - PyTorch's name
    """The same as `no_grad`; switched off, the same as `enable_grad`.

    Parameters
    ----------
    mode : bool
    """

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode)
