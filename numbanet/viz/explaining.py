"""What becomes of a layer: its ops, what passes make of them, its kernels and their times."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

from numbanet.errors import ArgumentError
from numbanet.ir import Graph, Node
from numbanet.kernels.kernel import Kernel
from numbanet.ops.leaf import input_value
from numbanet.plan.listing import amount
from numbanet.plan.program import Launch
from numbanet.runtime.device import Device
from numbanet.viz.measuring import Peaks, measure, peaks

if TYPE_CHECKING:
    from numbanet.models.model import Model


@dataclass(frozen=True, eq=False)
class Explained:
    """One launch of a layer.

    Attributes
    ----------
    number : int
        Its place in the training step.
    launch : Launch
    seconds : float or None
        None if it was not measured.
    limit : (float, str) or None
        Which part of the device's bandwidth or arithmetic it reaches.
    """

    number: int
    launch: Launch
    seconds: float | None = None
    limit: tuple[float, str] | None = None

    @cached_property
    def source(self) -> str:
        """The kernel's Python source, as Numba is given it."""
        return source_of(self.launch.kernel)

    @property
    def shape(self) -> str:
        """How the launch is cut into pieces."""
        kernel, tiles = self.launch.kernel, self.launch.tiles
        if kernel.threads == 1:
            return f"{tiles} tile{'s' if tiles != 1 else ''}"
        return f"{tiles} blocks of {kernel.threads} threads"

    def __str__(self) -> str:
        launch = self.launch
        parts = [self.shape, amount(launch.nbytes, "B"), amount(launch.flops, "FLOP")]
        if self.seconds is not None:
            parts.append(f"{self.seconds * 1e6:.1f} us")
        if self.limit is not None:
            parts.append(f"{self.limit[0]:.0%} of the {self.limit[1]} limit")
        lines = [f"launch {self.number}: {launch.kernel.name}, {', '.join(parts)}"]
        lines += [f"  computes {_line(node)}" for node in launch.nodes]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Explanation:
    """What `explain` found; ``print`` shows it, and so do notebooks.

    Attributes
    ----------
    layer : str
    batch_size : int
    recorded : tuple of Node
        The ops that the layer records, forward.
    passed : tuple of Node
        What passes have made of them and of their gradients: what is lowered to kernels.
    launches : tuple of Explained
        Of the training step.
    device : str
    """

    layer: str
    batch_size: int
    recorded: tuple[Node, ...]
    passed: tuple[Node, ...]
    launches: tuple[Explained, ...]
    device: str

    @property
    def seconds(self) -> float | None:
        """Of all launches together; None if they were not measured."""
        times = [each.seconds for each in self.launches if each.seconds is not None]
        return sum(times) if len(times) == len(self.launches) else None

    def __str__(self) -> str:
        took = "" if self.seconds is None else f", {self.seconds * 1e6:.1f} us"
        lines = [
            f"{self.layer}: {len(self.launches)} launches of a training step of "
            f"{self.batch_size} samples on {self.device}{took}",
            "",
            "recorded",
            *(f"  {_line(node)}" for node in self.recorded),
            "",
            "after passes, with gradients",
            *(f"  {_line(node)}" for node in self.passed),
            "",
        ]
        shown: dict[str, int] = {}
        for each in self.launches:
            lines += [str(each), ""]
            first = shown.setdefault(each.source, each.number)
            if first == each.number:
                lines += ["    " + line for line in each.source.splitlines()]
            else:
                lines.append(f"    the source of launch {first}")
            lines.append("")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def explain(
    model: Model, layer: str, batch_size: int = 32, *, is_measured: bool = True
) -> Explanation:
    """What becomes of a layer in the training step of a compiled model.

    A launch belongs to the layer that recorded its last op: where passes join ops of several
    layers in one kernel, it is listed with one of them.

    Parameters
    ----------
    model : Model
        Compiled, its inputs known.
    layer : str
        Its name; of a layer of a nested model its path, ``"encoder/conv1"``.
    batch_size : int
    is_measured : bool
        Whether to run the step, launch by launch, on numbers that are made up. Weights stay
        as they are.

    Raises
    ------
    ArgumentError
        If there is no such layer, or the model is not compiled.
    NotImplementedError
        If the device cannot time single launches.
    """
    name = _known(model, layer)
    trainer = model.trainer
    trainer.state.adopt()
    program = model.program(batch_size)
    own = [(i, each) for i, each in enumerate(program.launches) if _has_part_in(name, each)]
    device = trainer.device
    launches = tuple(Explained(i, each) for i, each in own)
    if is_measured and own:
        times, limits = measure(device, program), peaks(device)
        launches = tuple(_measured(i, each, times[i], limits) for i, each in own)
    nodes = [node for _, each in own for node in each.nodes]
    return Explanation(
        name,
        batch_size,
        _recorded(model, name, batch_size),
        tuple(dict.fromkeys(nodes)),
        launches,
        _described(device),
    )


def source_of(kernel: Kernel) -> str:
    """The Python source of a kernel's function, generated or written."""
    function = kernel.make(*kernel.parameters)
    # A function that Numba has wrapped keeps what it wraps.
    function = getattr(function, "py_func", function)
    try:
        return inspect.cleandoc("\n" + inspect.getsource(function))
    except (OSError, TypeError):
        return f"# {kernel.make.__module__}.{kernel.make.__qualname__}{kernel.parameters}"


def _measured(number: int, launch: Launch, seconds: float, limits: Peaks) -> Explained:
    return Explained(number, launch, seconds, limits.share(launch, seconds))


def _known(model: Model, layer: str) -> str:
    model.get_layer(layer)  # refuses names that are not there
    return layer


def _has_part_in(layer: str, launch: Launch) -> bool:
    """Whether a launch works for a layer: a launch of several calls may work for many."""
    return any(_is_of(layer, node.path) for node in launch.nodes)


def _is_of(layer: str, path: str) -> bool:
    return path == layer or path.startswith(f"{layer}/")


def _recorded(model: Model, layer: str, batch_size: int) -> tuple[Node, ...]:
    inputs = {
        name: input_value(name, (batch_size, *type_.shape[1:]), type_.dtype)
        for name, type_ in model.signature.inputs.items()
    }
    graph = Graph(tuple(inputs.values()), model.record_on(inputs))
    own = tuple(
        node for node in graph.nodes if _is_of(layer, node.path) and not node.op.is_leaf
    )
    if not own:
        raise ArgumentError(f"layer {layer!r} is not between the inputs and the outputs")
    return own


def _line(node: Node) -> str:
    """A node in one line: ``conv2d(f32[8, 28, 28, 1], ...) -> f32[...]  padding=same``."""
    attrs = str(node.attrs)
    return repr(node).strip("<>") + (f"  {attrs}" if attrs else "")


def _described(device: Device) -> str:
    driver = getattr(device, "driver", None)
    return device.name if driver is None else f"{device.name} ({driver.description})"
