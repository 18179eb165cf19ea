"""What the optimizers' options have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numbanet.optim.optimizer import Options

COMMON = {"lr": "learning_rate", "weight_decay": "weight_decay"}
"""What rules call the options that most of them have."""


def given(arguments: Mapping[str, Any]) -> Options:
    """The options among the ``locals()`` of a constructor: all of its arguments but the first.

    Each constructor spells its arguments out, for those who read it; once is enough.
    """
    return {
        name: value
        for name, value in arguments.items()
        if name not in ("self", "params", "__class__")
    }


def flags(group: Options) -> dict[str, Any]:
    """What every rule has of a group's options."""
    decay = "decoupled" if group.get("decoupled_weight_decay") else "coupled"
    return {
        "maximize": bool(group["maximize"]),
        "decay": decay if group.get("weight_decay") else "none",
    }
