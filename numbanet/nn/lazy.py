"""Modules whose parameters get their shapes from the first input."""

from __future__ import annotations

from typing import Any, ClassVar

from numbanet.errors import ArgumentError
from numbanet.nn.module import Module
from numbanet.nn.parameter import is_lazy


class LazyModuleMixin(Module):
    """Base, beside the plain module, of a module that waits for its first input.

    A subclass makes `UninitializedParameter` and `UninitializedBuffer` in ``__init__``, and
    materialises them in ``initialize_parameters(*args, **kwargs)``, which gets what ``forward``
    is about to get. Then the instance turns into one of ``cls_to_become``.

    Examples
    --------
    >>> class LazyLinear(LazyModuleMixin, Linear):
    ...     cls_to_become = Linear
    """

    cls_to_become: ClassVar[type[Module] | None] = None

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give all parameters their shapes and first numbers; called once.

        Where a ``state_dict`` brought them already, there are only sizes to be noted.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement initialize_parameters()"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer waits for its shape."""
        return any(map(is_lazy, (*self._parameters.values(), *self._buffers.values())))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Initialise the parameters, turn into the plain class, and call that."""
        self.initialize_parameters(*args, **kwargs)
        if self.has_uninitialized_params():
            raise ArgumentError(
                f"{type(self).__name__}.initialize_parameters() left parameters without a shape"
            )
        if self.cls_to_become is None:
            return super().__call__(*args, **kwargs)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        return self(*args, **kwargs)
