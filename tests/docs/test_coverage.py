"""The pages on the two doors say what there is, and all of it is tested."""

from __future__ import annotations

import pytest

from tests.docs import coverage
from tests.keras_peer import import_keras

ROOMS = [(page, room) for page in coverage.PAGES for room in page.rooms]


def need(library: str) -> None:
    """Skip the test where the library cannot be imported."""
    if library == "keras":
        import_keras()
    else:
        pytest.importorskip(library)


@pytest.mark.parametrize("page", coverage.PAGES, ids=lambda page: page.name)
def test_the_page_holds_the_tables_of_now(page: coverage.Page) -> None:
    need(page.library)
    text = page.path.read_text(encoding="utf-8")
    assert text == coverage.replaced(page), "python -m tests.docs.coverage --write"


@pytest.mark.parametrize(("page", "room"), ROOMS, ids=[room.theirs for _, room in ROOMS])
def test_all_that_is_there_is_tested(page: coverage.Page, room: coverage.Room) -> None:
    need(page.library)
    _, others, _ = coverage.sorted_out(page, room)
    assert not set(others) - coverage.mentioned(page)
