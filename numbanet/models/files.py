"""Models in files: what `numbanet.io` does, as methods."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, cast

from numbanet.models.structure import Structured

if TYPE_CHECKING:
    from numbanet.io.report import Report
    from numbanet.models.model import Model

Path = str | PathLike[str]


class Filed(Structured):
    """The part of `Model` that writes and reads files."""

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
        from numbanet import io  # `io` rebuilds models, and so is made of them.

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
