"""The documentation: its code runs and prints what the page says, and its links lead somewhere.

Python blocks of a page run in order, as one program, unless their fence says ``python no-run``.
A ``text`` block right after one holds exactly what it printed; where the machine has a say in
that, the fence says ``text sample`` and the block is not compared. ``pytest --update-golden``
writes both kinds anew.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from numbanet.ir import REGISTRY

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TEXTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)
)
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(?:#[^)\s]*)?\)")


@dataclass(frozen=True)
class Block:
    """Text between fences, and where it begins and ends in the page."""

    info: str
    text: str
    start: int
    end: int


def blocks(page: str) -> list[Block]:
    return [
        Block(match["info"].strip(), match["text"], match.start("text"), match.end("text"))
        for match in FENCE.finditer(page)
    ]


def outputs(name: str, page: str, namespace: dict[str, object]) -> Iterator[tuple[Block, str]]:
    """Run the page; each ``text`` block that follows a Python block, and what that printed."""
    printed = None
    for block, before in zip(blocks(page), ("", *between(page)), strict=False):
        if block.info.startswith("text") and printed is not None and not before.strip():
            yield block, printed
        printed = run(name, page, block, namespace) if block.info == "python" else None


def between(page: str) -> list[str]:
    """What stands between one block and the next."""
    return FENCE.sub("\0", page).split("\0")[1:-1]


def run(name: str, page: str, block: Block, namespace: dict[str, object]) -> str:
    # Empty lines before it give its lines the numbers that they have in the page.
    text = "\n" * page.count("\n", 0, block.start) + block.text
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(text, name, "exec"), namespace)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def prelude(path: Path) -> dict[str, object]:
    """The README's example is about images and labels that a reader has."""
    if path.name != "README.md":
        return {}
    rng = np.random.default_rng(0)
    return {
        "images": rng.random((40, 8, 8, 1), dtype=np.float32),
        "labels": rng.integers(10, size=40),
    }


@pytest.fixture
def unchanged_registry() -> Iterator[None]:
    """Ops that a page declares are gone when the page is read."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.usefixtures("unchanged_registry")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_code_prints_what_the_page_says(path: Path, request: pytest.FixtureRequest) -> None:
    page = path.read_text(encoding="utf-8")
    found = list(outputs(path.name, page, {"__name__": "__main__"} | prelude(path)))
    if request.config.getoption("--update-golden"):
        for block, printed in reversed(found):
            page = page[: block.start] + printed + page[block.end :]
        path.write_text(page, encoding="utf-8")
        return
    for block, printed in found:
        if block.info == "text":
            assert printed == block.text


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_files(path: Path) -> None:
    prose = FENCE.sub("", path.read_text(encoding="utf-8"))
    missing = [link for link in LINK.findall(prose) if not (path.parent / link).exists()]
    assert not missing


def test_every_op_stands_in_the_table_of_ops() -> None:
    page = (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert not set(REGISTRY) - named
