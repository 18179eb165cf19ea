"""What became of each tensor when weights came into a model."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Taken:
    """A tensor of the model that has new numbers.

    Attributes
    ----------
    target : str
        Its path in the model.
    source : str
        The tensor, or tensors, that the numbers come from.
    shape : tuple of int
    conversion : str
        What was done to them; ``""`` for nothing.
    """

    target: str
    source: str
    shape: tuple[int, ...]
    conversion: str = ""


@dataclass
class Report:
    """What was taken, and what was left over on either side. Printing it gives a table.

    Attributes
    ----------
    taken : list of Taken
    missing : list of str
        Tensors of the model without a source.
    unexpected : list of str
        Tensors of the source that the model has no place for.
    mismatched : list of str
        Tensors whose shapes differ, with both.
    ignored : list of str
        Tensors of the source that carry nothing: counters, say.
    settings : list of str
        Numbers other than weights: epsilons and momenta, and what became of them.
    """

    taken: list[Taken] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether everything met."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        width = max((len(each.target) for each in self.taken), default=0)
        lines = [
            f"{each.target:<{width}}  <- {each.source} {each.shape} {each.conversion}".rstrip()
            for each in self.taken
        ]
        for title in ("missing", "unexpected", "mismatched", "ignored", "settings"):
            lines += [f"{title}: {text}" for text in getattr(self, title)]
        return "\n".join(lines) or "nothing to take"
