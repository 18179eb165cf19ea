"""A small model's training step takes few launches on a GPU, or they would take its time."""

import pytest

from benchmarks.plans import Drawing, plan
from benchmarks.workloads import WORKLOADS


@pytest.mark.parametrize(("workload", "most"), [("mlp-32", 6), ("mlp-64", 6), ("cnn-64", 14)])
def test_small_models_take_few_launches(workload: str, most: int) -> None:
    program = plan(WORKLOADS[workload], Drawing("cuda"))
    assert len(program.launches) <= most, str(program)
