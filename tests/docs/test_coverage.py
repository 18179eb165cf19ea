"""The page for those who come from PyTorch says what there is, and all of it is tested."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.docs import coverage


def test_the_page_holds_the_tables_of_now() -> None:
    page = coverage.PAGE.read_text(encoding="utf-8")
    assert page == coverage.replaced(page), "python -m tests.docs.coverage --write"


@pytest.mark.parametrize("room", coverage.ROOMS, ids=lambda room: room.theirs)
def test_all_that_is_there_is_tested(room: coverage.Room) -> None:
    _, others, _ = coverage.sorted_out(room)
    assert not set(others) - coverage.mentioned()
