"""The warnings of the lint, and how they are silenced."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from numbanet.errors import ArgumentError

CODES = {
    "NB101": "softmax before a loss that takes logits",
    "NB102": "sigmoid before a loss that takes logits",
    "NB103": "a negative log-likelihood of what are no log-probabilities",
    "NB104": "a loss that takes probabilities, of what are none",
    "NB105": "outputs that do not go with the labels' range",
    "NB106": "parameters that no loss reaches",
    "NB107": "dropout after the output",
    "NB108": "batch normalization with a batch of one",
    "NB109": "input from 0 to 255 that nothing scales",
    "NB110": "a mask of which a layer takes no notice",
}
"""What each code stands for."""

_PACKAGE = str(Path(__file__).parent.parent)
_ignored: set[str] = set()


class LintWarning(UserWarning):
    """Something that runs and is likely a mistake.

    Attributes
    ----------
    code : str
        One of `CODES`.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Finding:
    """What a rule found: where, what is wrong, and how to mend it."""

    code: str
    where: str
    problem: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{self.code} {place}{self.problem}. {self.mend}."


class ignore:  # noqa: N801 - used like a function
    """Silence findings by their codes, from now on or for a ``with`` block.

    Parameters
    ----------
    *codes : str

    Raises
    ------
    ArgumentError
        If there is no such code.

    Examples
    --------
    >>> numbanet.lint.ignore("NB109")
    >>> with numbanet.lint.ignore("NB101", "NB106"):
    ...     model.fit(x, y)
    """

    def __init__(self, *codes: str) -> None:
        for code in codes:
            if code not in CODES:
                raise ArgumentError("unknown code", got=repr(code), expected=", ".join(CODES))
        self._added = set(codes) - _ignored
        _ignored.update(codes)

    def __enter__(self) -> ignore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _ignored.difference_update(self._added)

    def __repr__(self) -> str:
        return f"<ignored: {', '.join(sorted(_ignored)) or 'nothing'}>"


def warn(findings: Iterable[Finding]) -> None:
    """Warn of what is not ignored, where the user called numbanet."""
    for finding in findings:
        if finding.code not in _ignored:
            message = LintWarning(str(finding), finding.code)
            warnings.warn(message, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """How many frames above `warn` the first one outside of this package is."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
