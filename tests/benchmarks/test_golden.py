"""The guard against regressions: counted figures of all benchmark programs."""

from __future__ import annotations

import copy
import json

import pytest

from benchmarks.golden import GOLDEN, TARGETS, counted, differences

COMMITTED = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("target", TARGETS)
def test_programs_are_planned_as_they_were(target: str) -> None:
    """If a change is meant: ``python -m benchmarks --check --update``, and read the diff."""
    assert differences({target: COMMITTED[target]}, {target: counted(target)}) == []


def test_differences_name_the_figure() -> None:
    now = copy.deepcopy(COMMITTED)
    now["cuda"]["mlp-64"]["launches"] += 1
    del now["cuda"]["mlp-32"]
    was = COMMITTED["cuda"]["mlp-64"]["launches"]
    assert differences(COMMITTED, now) == [
        "cuda mlp-32: gone",
        f"cuda mlp-64: launches {was} -> {was + 1}",
    ]
