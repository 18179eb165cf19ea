"""The model: layers between inputs and outputs, and how to train and use them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.models.compiled import require_positive
from numbanet.models.files import Filed
from numbanet.models.structure import Structured
from numbanet.models.training import Trainable
from numbanet.viz.explaining import Explanation, explain
from numbanet.viz.profiling import Profile, profile_step
from numbanet.viz.summary import size, summary


class Model(Filed, Trainable):
    """A model of one or several inputs and outputs.

    Either what lies between ``inputs`` and ``outputs``, or a subclass with a ``forward``.

    Parameters
    ----------
    inputs, outputs : Value, or list or dict of them
        Inputs come from `Input`, outputs from calling layers. Neither for a subclass.
    name : str, optional

    Raises
    ------
    GraphError
        If the outputs depend on an input that is not among ``inputs``.

    Examples
    --------
    >>> x = Input((28, 28, 1))
    >>> h = Conv2D(8, 3, padding="same", activation="relu")(x)
    >>> h = Add()([h, Conv2D(8, 3, padding="same")(h)])
    >>> model = Model(x, Dense(10, activation="softmax")(GlobalAveragePooling2D()(h)))
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        if (inputs is None) != (outputs is None):
            raise ArgumentError("a Model takes both inputs and outputs, or neither")
        if inputs is not None:
            self._connect(inputs, outputs)
        elif type(self).forward is Structured.forward:
            raise ArgumentError(
                "a Model needs inputs and outputs", mend="Or subclass it and write forward()"
            )

    def summary(
        self,
        *,
        batch_size: int = 32,
        print_fn: Callable[[str], Any] | None = None,
        **options: Any,
    ) -> None:
        """Print a table of layers, shapes, parameters, connections and costs.

        Of a compiled model it also shows the memory of a training step, which is known without
        running one.

        Parameters
        ----------
        batch_size : int
            Of that step.
        print_fn : callable, optional
            Called with the text instead of ``print``.
        **options
            Those of `numbanet.viz.summary.summary`: ``expand_nested``, ``show_trainable`` and
            so on.
        """
        plan = None
        if self._compiled is not None and self.trainable_variables():
            program = self.program(batch_size)
            plan = (
                f"Training step of {batch_size} samples: {size(program.peak_bytes)} planned, "
                f"{size(program.arena_bytes)} of it for values that live within the step"
            )
        (print if print_fn is None else print_fn)(summary(self, plan, **options))

    def explain(self, layer: str, batch_size: int = 32, **options: Any) -> Explanation:
        """What becomes of a layer in the training step: its ops, kernels and times.

        See `numbanet.viz.explaining.explain`.
        """
        return explain(self, layer, batch_size, **options)

    def profile(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int = 32,
        to_file: str | os.PathLike[str] | None = None,
        repeats: int = 5,
    ) -> Profile:
        """Time the launches of a training step one by one; print it for a table by layer.

        Weights and all else that training changes are afterwards as they were.

        Parameters
        ----------
        x, y : as for `fit`, optional
            Without them numbers are made up.
        batch_size : int
        to_file : path, optional
            Where to write a trace that ``chrome://tracing`` and Perfetto show.
        repeats : int
            The least time of so many runs counts.

        Raises
        ------
        ArgumentError
            If the model is not compiled.
        NotImplementedError
            If the device cannot time single launches.
        """
        require_positive(batch_size=batch_size, repeats=repeats)
        data = None if x is None else self._data_set(x, y)
        return profile_step(self, data, batch_size, to_file, repeats)
