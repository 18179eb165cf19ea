"""Every exception that numbanet raises, and how its message is put together.

An error says what happened, what came, what was expected and how to mend it. The layer is
filled in by whoever records the node, so that a shape rule need not know who called it.
"""

from __future__ import annotations


class NumbanetError(Exception):
    """Base of all errors raised by numbanet.

    Parameters
    ----------
    problem : str
        What is wrong, one sentence without a full stop.
    got, expected, mend : str, optional
        What came, what was expected, and what the user can do about it.
    layer : str, optional
        Path of the layer concerned, for example ``"encoder/conv1"``.
    """

    def __init__(
        self,
        problem: str,
        *,
        got: str | None = None,
        expected: str | None = None,
        mend: str | None = None,
        layer: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.got = got
        self.expected = expected
        self.mend = mend
        self.layer = layer

    def __str__(self) -> str:
        text = f"{self.layer}: {self.problem}" if self.layer else self.problem
        if self.got is not None:
            text += f", got {self.got}"
        if self.expected is not None:
            text += f", expected {self.expected}"
        text += "."
        if self.mend is not None:
            text += f" {self.mend}."
        return text


class ShapeError(NumbanetError, ValueError):
    """Shapes that do not meet."""


class DTypeError(NumbanetError, TypeError):
    """An element type that an operation or a layer cannot take."""


class ArgumentError(NumbanetError, ValueError):
    """An argument outside of what a function or a layer takes."""


class GraphError(NumbanetError, ValueError):
    """A graph that is disconnected, cyclic, or cannot be differentiated."""


class CallError(NumbanetError, AttributeError):
    """A layer asked for what its one call has, that has none, or several."""


class VerificationError(NumbanetError, AssertionError):
    """A graph, schedule or plan that breaks an invariant: a bug of numbanet itself."""


class SymbolicValueError(NumbanetError, TypeError):
    """Python asked a symbolic value for a number that does not exist yet."""


class DataError(NumbanetError, ValueError):
    """Data that cannot be trained on: lengths, dtypes, ranges, emptiness."""


class FormatError(NumbanetError, ValueError):
    """A file that does not hold what its format says: wrong header, cut off, or too long."""


class DownloadError(NumbanetError, RuntimeError):
    """Files that are not there and could not be fetched."""


class MissingPackageError(NumbanetError, ImportError):
    """A package that an optional feature needs and that is not installed."""


class WorkerError(NumbanetError, RuntimeError):
    """A worker process of a data loader that died, or that did not answer in time."""


class DeviceError(NumbanetError, RuntimeError):
    """A device that is missing, lost, or cannot do what was asked."""


class OutOfMemoryError(DeviceError):
    """A plan that is larger than the memory of its device."""


class NonFiniteError(NumbanetError, RuntimeError):
    """A number that is infinite, or none, where the caller asked for finite ones."""


class MemberError(NumbanetError, KeyError):
    """A name that a module's parameter, buffer or submodule cannot have."""


class StateDictError(NumbanetError, RuntimeError):
    """A state_dict that does not fit the module: its problem is the whole report."""

    def __str__(self) -> str:
        return self.problem
