"""Modules: what owns parameters and records ops. Layers and models are modules."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from numbanet.errors import NumbanetError, ShapeError, SymbolicValueError
from numbanet.ir import Value, current_path, scope
from numbanet.layers import masks
from numbanet.layers.calls import Call, inside, note, with_origins
from numbanet.layers.ownership import Owner
from numbanet.layers.penalties import current_penalties
from numbanet.layers.phase import at_inference, phase, with_training
from numbanet.layers.structure import flatten, map_leaves
from numbanet.layers.trial import output_shape


class Module(Owner):
    """Something with parameters that records ops when it is called on values.

    A subclass implements ``forward`` (``call`` is taken for it, as Keras spells it), and
    ``build`` if its parameters' shapes depend on what it is called with. Modules and variables
    that are attributes (also in lists, tuples and dicts) belong to it, in the order in which
    they were set.

    Parameters
    ----------
    name : str, optional
        By default the name of the attribute or the place in the model that holds the module.

    Examples
    --------
    >>> class Residual(Module):
    ...     def __init__(self, units):
    ...         super().__init__()
    ...         self.inner = Dense(units, activation="relu")
    ...
    ...     def forward(self, x):
    ...         return x + self.inner(x)
    """

    _takes_call: ClassVar[bool] = True

    supports_masking: bool = False
    """Whether outputs have masks, those of `compute_mask`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = vars(cls)
        if cls._takes_call and "call" in own and "forward" not in own:
            cls.forward = own["call"]
        if "compute_mask" in own and "supports_masking" not in own:
            cls.supports_masking = True

    # What subclasses write.

    def build(self, *args: Any, **kwargs: Any) -> None:
        """Create parameters; called once, with what ``forward`` is about to be called with, but
        for masks and ``training``. With a parameter ``input_shape`` it is given the shape of
        the first argument instead, as Keras's is."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Record the module's ops and return its output values."""
        raise NotImplementedError(f"{type(self).__name__} does not implement forward()")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output, or a mask or None for each of several.

        Asked for of layers that have ``supports_masking``; defining it is saying so. By default
        the input's mask is the output's.

        Parameters
        ----------
        inputs : Value, or nested values
            The first argument of the call.
        previous_mask : Value, or nested like ``inputs``, optional
            Its mask, or the ``mask`` that the layer was called with.
        """
        return previous_mask

    def compute_output_shape(self, *shapes: Any, **named: Any) -> Any:
        """Shape of what the layer returns for inputs of these shapes; nothing is built.

        Parameters
        ----------
        *shapes : tuple of int or None, or nested lists and dicts of them
            One for each argument of ``forward``, the batch axis included.
        **named
            More, as ``value_shape=...`` for the argument ``value``; ``input_shape`` is that of
            the first.

        Returns
        -------
        tuple of int or None
            Or several, nested as the outputs are.

        Raises
        ------
        ShapeError
            If the layer cannot take such inputs.

        Examples
        --------
        >>> Conv2D(8, 3).compute_output_shape((None, 28, 28, 1))
        (None, 26, 26, 8)
        """
        return output_shape(self, shapes, named)

    def add_loss(self, loss: Value | Iterable[Value]) -> None:
        """Add numbers, computed in ``forward``, to the loss that the model is trained for.

        Raises
        ------
        ShapeError
            If one is no scalar.
        """
        for each in [loss] if isinstance(loss, Value) else loss:
            if each.rank:
                raise ShapeError(f"{self.label} adds numbers to the loss", got=str(each.type))
            found = current_penalties()
            if found is not None:
                found.append(each)

    # Calling.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record this module on values; see ``forward``.

        ``training=False`` records it as at inference, also where the model is trained: without
        dropout, with running statistics that stay as they are. A ``forward`` that has a
        parameter ``training`` is told whether what is recorded is trained.
        """
        return self.call_as(self.name, *args, **kwargs)

    def call_as(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call under another name: a model's own name for a layer that it shares."""
        call = Call(self, args, kwargs)
        before = masks.times_taken()
        with scope(name), phase(kwargs.get("training")), self._named_in_errors():
            self._check_arguments(args, kwargs)
            kwargs = with_training(self.forward, kwargs)
            outputs = self.record(*args, **kwargs)
            if call.kwargs.get("training") is False:
                outputs = at_inference(call.inputs, outputs)
            outputs = with_origins(call, outputs)
            was_taken = masks.times_taken() > before
            masks.hand_on(self, args, kwargs, outputs, was_taken)
        note(call, outputs)
        return outputs

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        """Errors that name no layer name this one: an op knows not who asks for it."""
        try:
            yield
        except NumbanetError as error:
            if error.layer is None and self.name not in str(error):
                error.layer = current_path()
            raise

    def record(self, *args: Any, **kwargs: Any) -> Any:
        """Build if that was not done, and record ``forward`` under the open scope as it is."""
        for key, child in self.submodules().items():
            child.find_name(key)
        kwargs = with_training(self.forward, kwargs)
        if not self._is_built:
            self._build(args, {k: v for k, v in kwargs.items() if not _is_aside(k)})
            self._is_built = True
        if not masks.has_mask([args, kwargs]):
            with inside():
                return self.forward(*args, **kwargs)
        filled = masks.fill(self.forward, args, kwargs)
        with inside(), masks.taken(filled.arguments):
            return self.forward(*filled.args, **filled.kwargs)

    def _build(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Build; a ``build`` whose parameter is Keras's ``input_shape`` is given shapes."""
        if "input_shape" in inspect.signature(self.build).parameters:
            self.build(map_leaves(lambda leaf: getattr(leaf, "shape", leaf), args[0]))
        else:
            self.build(*args, **kwargs)

    def _check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for leaf in flatten([args, kwargs]):
            if isinstance(leaf, np.ndarray):
                raise SymbolicValueError(
                    f"{self.label} is called on symbolic values while a model is built",
                    got=f"a NumPy array of shape {leaf.shape}",
                    mend="Build a model and call its predict(array)",
                )


def _is_aside(keyword: str) -> bool:
    """Whether an argument says how to compute, and not what of."""
    return keyword == "training" or keyword.endswith("mask")


def is_size(number: object) -> bool:
    """Whether ``number`` is a positive integer, Python's or NumPy's."""
    return isinstance(number, int | np.integer) and number is not True and bool(number > 0)
