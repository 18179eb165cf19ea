"""Groups: several independent calls as one launch, whose blocks are divided among them.

A block asks in which call's range its number lies and does that call's tile; the condition is
the same for a whole block, so that each body keeps its barriers. Threads that a body has no use
for are done at once, and barriers do not wait for threads that are done.

The bodies' texts are put one after the other, their names told apart by a prefix. What a block
shares has room for the largest of them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from numbanet.kernels.cuda.cost import work
from numbanet.kernels.cuda.generated import (
    NAMESPACE,
    Text,
    functions_of,
    make_generated,
    text_of,
)
from numbanet.kernels.kernel import Call, Kernel
from numbanet.kernels.source import compile_source

MOST_CALLS = 8
"""Calls in one launch: the instructions of all of them are loaded together."""

_LONGEST = 8e-6
"""Seconds. Where a call takes longer, a launch saved is not worth the registers of others."""


def grouped(calls: Sequence[Call]) -> Call | None:
    """One call that does what all of ``calls`` do, in any order; None if it would not pay."""
    if len(calls) > MOST_CALLS or not all(map(_is_fit, calls)):
        return None
    return together(calls)


def together(calls: Sequence[Call]) -> Call:
    """One call that does what all of ``calls`` do, whose kernels are generated."""
    parts = tuple(_source_of(call.kernel) for call in calls)
    threads = tuple(call.kernel.threads for call in calls)
    ends = [sum(call.tiles for call in calls[: i + 1]) for i in range(len(calls) - 1)]
    starts = [sum(len(call.arguments) for call in calls[:i]) for i in range(len(calls))]
    shifted = list(zip(starts, calls, strict=True))
    kernel = Kernel(
        name=_name(calls),
        make=make_group,
        parameters=(parts, threads),
        signature=(
            *(name for call in calls for name in call.kernel.signature),
            *["int32"] * len(ends),
        ),
        threads=max(threads),
    )
    return Call(
        kernel,
        (*(argument for call in calls for argument in call.arguments), *ends),
        tiles=sum(call.tiles for call in calls),
        writes=tuple(at + position for at, call in shifted for position in call.writes),
        in_place=tuple((at + a, at + b) for at, call in shifted for a, b in call.in_place),
        nbytes=sum(call.nbytes for call in calls),
        flops=sum(call.flops for call in calls),
        offsets=tuple((at + i, nbytes) for at, call in shifted for i, nbytes in call.offsets),
    )


def _name(calls: Sequence[Call]) -> str:
    """The names of the longest calls, two at most."""
    by_work = sorted(calls, key=lambda call: -work(call))
    names = list(dict.fromkeys(call.kernel.name for call in by_work))
    return "_and_".join(names[:2]) + ("_and_more" if len(names) > 2 else "")


def _is_fit(call: Call) -> bool:
    kernel = call.kernel
    if kernel.make is not make_generated or kernel.shared_bytes:
        return False
    if work(call) > _LONGEST:
        return False
    source = _source_of(kernel)
    if any(name in text_of(source) for name in ("blockIdx", "gridDim")):
        return False  # it does not take its tile from `tile_index`
    return isinstance(source, str) or not source.is_heavy


def _source_of(kernel: Kernel) -> Text:
    (source,) = kernel.parameters
    return source  # type: ignore[return-value]


def make_group(parts: tuple[Text, ...], threads: tuple[int, ...]) -> Callable[..., None]:
    """The function that does tile after tile of each part."""
    namespace = dict(NAMESPACE)
    for number, part in enumerate(parts):
        functions = functions_of(part)
        namespace |= {f"p{number}_{name}": each for name, each in functions.items()}
    return compile_source(write_group(parts, threads), "kernel", namespace)


def write_group(parts: Sequence[Text], threads: Sequence[int]) -> str:
    """Source of ``kernel(*arguments of all parts, *ends)``: part ``i`` does the tiles before
    ``end{i}``, and the last part the rest."""
    bodies = [_Body(f"p{number}_", part) for number, part in enumerate(parts)]
    ends = [f"end{number}" for number in range(len(parts) - 1)]
    arguments = [name for body in bodies for name in body.arguments]
    lines = [f"def kernel({', '.join([*arguments, *ends])}):", "    block = tile_index()"]
    lines += [f"    {line}" for line in _shared(bodies)]
    first = "uint32(0)"
    for number, body in enumerate(bodies):
        last = number == len(bodies) - 1
        condition = (
            "else" if last else f"{'el' if number else ''}if block < uint32(end{number})"
        )
        lines += [f"    {condition}:", f"        {body.tile} = uint32(block - {first})"]
        lines += [f"        {line}" for line in body.lines(threads[number], max(threads))]
        first = f"uint32(end{number})"
    return "\n".join(lines) + "\n"


def _shared(bodies: Sequence[_Body]) -> Iterator[str]:
    """Declarations: of each type one array, of the largest size."""
    sizes: dict[str, int] = {}
    for body in bodies:
        for dtype, size in body.shared.items():
            sizes[dtype] = max(size, sizes.get(dtype, 0))
    for dtype, size in sizes.items():
        yield f"shared_{dtype} = cuda.shared.array({size}, {dtype}, ALIGNMENT)"


class _Body(ast.NodeTransformer):
    """A kernel's statements, under names that no other part has.

    Attributes
    ----------
    arguments : list of str
    tile : str
        Name of the number of its tile.
    shared : dict of str to int
        By type of number, the size of the array that its blocks share. A second array of one
        type is declared where it was.
    """

    def __init__(self, prefix: str, source: Text) -> None:
        text = text_of(source)
        self._prefix = prefix
        self.tile = f"{prefix}tile_index"
        self.shared: dict[str, int] = {}
        (function,) = ast.parse(text).body
        if not isinstance(function, ast.FunctionDef):
            raise TypeError(f"not a kernel: {text}")
        arguments = [each.arg for each in function.args.args]
        self.arguments = [prefix + name for name in arguments]
        self._own = {*arguments, *functions_of(source), *_assigned(function)}
        self._statements = [self.visit(statement) for statement in function.body]

    def lines(self, threads: int, most: int) -> Iterator[str]:
        """The statements; only ``threads`` of ``most`` threads run them."""
        indent = ""
        if threads < most:
            yield f"if thread_index() < uint32({threads}):"
            indent = "    "
        for statement in self._statements:
            for line in ast.unparse(statement).splitlines():
                yield indent + line

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._prefix + node.id, node.ctx) if node.id in self._own else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        callee = ast.unparse(node.func)
        if callee == "tile_index":
            return ast.Name(self.tile, ast.Load())
        if callee == "cuda.shared.array":
            size, dtype = (ast.unparse(each) for each in node.args[:2])
            if dtype not in self.shared and size.isdecimal():
                self.shared[dtype] = int(size)
                return ast.Name(f"shared_{dtype}", ast.Load())
        return self.generic_visit(node)


def _assigned(function: ast.FunctionDef) -> set[str]:
    names = (each for each in ast.walk(function) if isinstance(each, ast.Name))
    return {each.id for each in names if isinstance(each.ctx, ast.Store)}
