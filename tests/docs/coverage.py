"""What of PyTorch's and Keras's names there is, out of the tests' tables of cases.

``python -m tests.docs.coverage --write`` writes the tables of ``docs/pytorch.md`` and
``docs/layers.md`` anew.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
START, END = "<!-- coverage -->\n", "<!-- end of coverage -->\n"


@dataclass(frozen=True)
class Room:
    """A name space of theirs, and ours.

    Attributes
    ----------
    theirs, ours : str
    prefix : str
        Of its names in tables of cases.
    files : str
        Pattern of the test modules whose tables name them without a prefix.
    """

    theirs: str
    ours: str
    prefix: str = ""
    files: str = ""


TORCH = (
    Room("torch.nn", "numbanet.nn", prefix="nn."),
    Room("torch.nn.functional", "numbanet.nn.functional", prefix="F."),
    Room("torch.nn.init", "numbanet.nn.init", files="nn/test_init.py"),
    Room("torch.nn.utils", "numbanet.nn.utils", files="nn/test_*.py"),
    Room("torch.autograd", "numbanet.autograd", files="tensors/test_autograd.py"),
    Room("torch.optim", "numbanet.optim", files="optim/test_*.py"),
    Room("torch.optim.swa_utils", "numbanet.optim.swa_utils", files="optim/test_*.py"),
    Room(
        "torch.optim.lr_scheduler",
        "numbanet.optim.lr_scheduler",
        files="optim/test_lr_scheduler.py",
    ),
    Room("torch.utils.data", "numbanet.data", files="data/test_*.py"),
    Room("torch.Tensor", "numbanet.Tensor", files="tensors/test_*.py"),
)
KERAS = (Room("keras.layers", "numbanet.layers", files="layers/*.py"),)


@dataclass(frozen=True)
class Page:
    """A page of the documentation, the rooms it tells of, and where those are tested."""

    name: str
    library: str
    rooms: tuple[Room, ...]
    tested: tuple[str, ...]

    @property
    def path(self) -> Path:
        return ROOT / "docs" / self.name


PAGES = (
    Page("pytorch.md", "torch", TORCH, ("nn", "optim", "tensors", "data")),
    Page("layers.md", "keras", KERAS, ("layers",)),
)

INTERNAL = re.compile(
    r"_|.*_with_indices$|.*has_torch_function|handle_torch|boolean_dispatch$|assert_int"
    r"|.*datapipe|DataChunk$|.*DataPipe$|runtime_validation|argument_validation"
    r"|non_deterministic$|factory_kwargs$|native_channel_shuffle$|swap_in_optimizer"
    r"|(ScalingType|SwizzleType|DType|Container)$"
)
"""Names that are not documented, or kept only for old programs."""


def public(room: Room) -> list[str]:
    """Their names of functions and classes."""
    home = resolve(room.theirs)
    return [
        name
        for name in dir(home)
        if not INTERNAL.match(name) and _is_own(home, getattr(home, name), name)
    ]


def _is_own(home: Any, thing: Any, name: str) -> bool:
    """Whether ``thing`` is theirs, and not there for the use of the module itself."""
    if inspect.ismodule(thing) or not callable(thing):
        return False
    module = getattr(thing, "__module__", None) or "torch"
    if home.__name__ == "keras.layers":
        return isinstance(thing, type)
    is_imported = name in ("Tensor", "Optimizer") and not home.__name__.endswith("optim")
    is_old = name + "_" in vars(home) and home.__name__ == "torch.nn.init"
    return module.startswith("torch") and not is_imported and not is_old


def resolve(path: str) -> Any:
    """A module, or what is in one."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        home, _, name = path.rpartition(".")
        return getattr(importlib.import_module(home), name)


def compared(page: Page, room: Room) -> set[str]:
    """Names in tables of cases, which run beside the other library."""
    if room.prefix:
        names = {name for path in files_of(page, "*/test_*.py") for name in table_names(path)}
        return {name[len(room.prefix) :] for name in names if name.startswith(room.prefix)}
    return {name for path in files_of(page, room.files) for name in table_names(path)}


def files_of(page: Page, pattern: str) -> Iterator[Path]:
    """Files of the tests of what a page tells of."""
    for path in sorted((ROOT / "tests").glob(pattern)):
        if path.parent.name in page.tested:
            yield path


def table_names(path: Path) -> set[str]:
    """First elements of the tuples in lists that a test module has at its top."""
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return {row[0] for table in _tables(module) for row in table if _is_case(row)}


def _tables(module: ModuleType) -> Iterator[Iterable[Any]]:
    return (each for each in vars(module).values() if isinstance(each, list | tuple))


def _is_case(row: Any) -> bool:
    return isinstance(row, tuple) and len(row) > 1 and isinstance(row[0], str)


def mentioned(page: Page) -> set[str]:
    """All words in the tests of what a page tells of."""
    texts = [path.read_text(encoding="utf-8") for path in files_of(page, "*/*.py")]
    return {word for text in texts for word in re.findall(r"\w+", text)}


def sorted_out(page: Page, room: Room) -> tuple[list[str], list[str], list[str]]:
    """Names that are compared with theirs case by case, others there are, and the rest."""
    there, names = resolve(room.ours), public(room)
    tables = compared(page, room)
    present = [name for name in names if hasattr(there, name)]
    return (
        [name for name in present if name in tables],
        [name for name in present if name not in tables],
        [name for name in names if not hasattr(there, name)],
    )


def rendered(page: Page) -> str:
    """The part of the page that is generated."""
    return "\n".join(_section(page, room) for room in page.rooms)


def _section(page: Page, room: Room) -> str:
    titles = ("Compared case by case", "There, and tested otherwise", "Not there")
    parts = [f"### {room.theirs}\n"]
    for title, names in zip(titles, sorted_out(page, room), strict=True):
        if names:
            text = ", ".join(f"`{name}`" for name in names)
            parts.append(f"**{title}** ({len(names)}):\n{textwrap.fill(text, 96)}\n")
    return "\n".join(parts)


def replaced(page: Page) -> str:
    """The page's text with what is generated anew."""
    before, _, rest = page.path.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{rendered(page)}\n{END}{after}"


if __name__ == "__main__":
    for each in PAGES:
        if "--write" in sys.argv:
            each.path.write_text(replaced(each), encoding="utf-8")
        else:
            print(rendered(each))
