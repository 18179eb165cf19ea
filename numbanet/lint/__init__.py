"""Lint of graphs: what is likely a mistake, said before anything runs.

Each finding is a `LintWarning` with a code such as ``NB101``, which can be silenced with
`ignore` or with Python's ``warnings.filterwarnings("ignore", "NB101")``.
"""

from numbanet.lint.rules import RULES, loss_of_logarithms, loss_of_logits
from numbanet.lint.subject import Subject
from numbanet.lint.warning import CODES, Finding, LintWarning, ignore, warn

__all__ = [
    "CODES",
    "RULES",
    "Finding",
    "LintWarning",
    "Subject",
    "check",
    "ignore",
    "loss_of_logarithms",
    "loss_of_logits",
    "warn",
]


def check(subject: Subject) -> list[Finding]:
    """What all rules find in a model and, if there are any, its data."""
    return [finding for rule in RULES for finding in rule(subject)]
