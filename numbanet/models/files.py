"""Models in files: what `numbanet.io` does, as methods."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

from numbanet.configuration import Objects
from numbanet.models.structure import Structured

if TYPE_CHECKING:
    from numbanet.io.report import Report
    from numbanet.models.model import Model

Path = str | PathLike[str]


class Filed(Structured):
    """The part of `Model` that writes and reads files."""

    def to_json(self, **options: Any) -> str:
        """The architecture, without weights, as JSON; see `model_from_json`.

        Parameters
        ----------
        **options
            Those of `json.dumps`.

        Raises
        ------
        ArgumentError
            If something cannot be written: a lambda as an activation.
        """
        from numbanet.io import descriptions  # `io` rebuilds models, and so is made of them.

        return json.dumps(descriptions.to_config(cast("Model", self)), **options)

    def _configuration(self) -> dict[str, Any]:
        """The architecture; of a class of the user's own, the arguments that made it."""
        from numbanet.io import descriptions

        if type(self).__module__.startswith("numbanet."):
            return descriptions.to_config(cast("Model", self))
        return super()._configuration()

    @classmethod
    def _of_configuration(cls, config: Mapping[str, Any], objects: Objects | None) -> Any:
        from numbanet.io import descriptions

        if cls.__module__.startswith("numbanet."):
            return descriptions.from_config(config, objects)
        return super()._of_configuration(config, objects)

    def save(
        self, filepath: Path, overwrite: bool = True, include_optimizer: bool = True
    ) -> None:
        """Write architecture and weights into one safetensors file; see `numbanet.load`.

        Parameters
        ----------
        filepath : path
            Replaced as a whole when all is written: a failure leaves the file that was there.
        overwrite : bool
            Whether a file that exists is replaced.
        include_optimizer : bool
            Of a compiled model, write what `compile` was given, and the optimizer's state, so
            that training goes on where it stopped.

        Raises
        ------
        ArgumentError
            If something cannot be written: a lambda as an activation, a file in the way.
        OSError
            If writing fails.
        """
        from numbanet import io

        io.save(
            cast("Model", self),
            filepath,
            overwrite=overwrite,
            include_optimizer=include_optimizer,
        )

    def save_weights(self, filepath: Path, overwrite: bool = True) -> None:
        """Write the weights by path into a safetensors file; arguments as of `save`."""
        from numbanet import io

        io.save_weights(self, filepath, overwrite=overwrite)

    def load_weights(
        self, filepath: Path, strict: bool = True, skip_mismatch: bool = False
    ) -> Report:
        """Take the weights of a file from `save_weights` or `save`.

        Parameters
        ----------
        filepath : path
        strict : bool
            Whether each weight must be in the file, and each of the file in the model.
        skip_mismatch : bool
            Leave weights alone whose shapes differ.

        Returns
        -------
        Report
            What was taken, and what was left over on either side.

        Raises
        ------
        FormatError
            If the file does not fit, or is no safetensors file; nothing has changed then.
        """
        from numbanet import io

        return io.load_weights(self, filepath, strict=strict, skip_mismatch=skip_mismatch)


def save_model(model: Filed, filepath: Path, overwrite: bool = True) -> None:
    """``model.save(filepath, overwrite)``"""
    model.save(filepath, overwrite)


def load_model(
    filepath: Path, custom_objects: Objects | None = None, compile: bool = True
) -> Model:
    """`numbanet.load`, by Keras's name."""
    from numbanet import io

    return io.load(filepath, custom_objects, compile)


def model_from_json(json_string: str, custom_objects: Objects | None = None) -> Model:
    """A new model of what `Model.to_json` returned, with first weights.

    Parameters
    ----------
    json_string : str
        It can name layers, and sizes without a limit; nothing that it says is run or imported.
    custom_objects : dict of str to class or function, optional
        Yours, by the names that they have in it; see also `register`.

    Raises
    ------
    FormatError
        If it is none, or names something unknown.
    """
    from numbanet.io import descriptions

    return descriptions.from_json(json_string, custom_objects)
