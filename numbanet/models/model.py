"""The model: layers between inputs and outputs, and how to train and use them."""

from __future__ import annotations

from typing import Any

from numbanet.errors import ArgumentError
from numbanet.models.files import Filed
from numbanet.models.structure import Structured
from numbanet.models.training import Trainable
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

    def summary(self, batch_size: int = 32, **options: Any) -> str:
        """Print and return a table of layers, shapes, parameters, connections and costs.

        Of a compiled model it also shows the memory of a training step of ``batch_size``
        samples, which is known without running one. ``options`` are those of
        `numbanet.viz.summary.summary`: ``expand_nested``, ``show_trainable`` and so on.
        """
        plan = None
        if self._compiled is not None and self.trainable_variables():
            program = self.program(batch_size)
            plan = (
                f"Training step of {batch_size} samples: {size(program.peak_bytes)} planned, "
                f"{size(program.arena_bytes)} of it for values that live within the step"
            )
        return summary(self, plan, **options)
