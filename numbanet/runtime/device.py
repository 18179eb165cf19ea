"""What every device offers: the only face of a device that the rest of numbanet sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.errors import DeviceError
from numbanet.ir import Node, Variable
from numbanet.ir.resident import Resident
from numbanet.kernels.kernel import Call, Cost
from numbanet.plan.program import Program
from numbanet.runtime.host import largest


class Executable(ABC):
    """A program loaded onto a device, ready to run again and again."""

    program: Program

    @abstractmethod
    def bind(self, name: str, array: Any) -> None:
        """Make ``array`` the input ``name`` of all runs to come.

        ``array`` has the input's dtype and shape and is C-contiguous. A CPU reads it where it
        lies; a GPU uploads it now, or reads it where it lies if that is on the GPU: if
        `Device.put` returned it, or if another library offers it.
        """

    def largest(self, name: str, array: np.ndarray) -> int:
        """The largest of the integers that are bound to an input, to look at before a run;
        negative ones count as very large, and of none the largest is 0."""
        return largest(array)

    def unbind(self) -> None:  # noqa: B027, most devices hold nothing
        """Hold inputs no longer that `Device.put` gave: there are others to come."""

    @abstractmethod
    def run(self, steps: int = 1) -> None:
        """Run the program ``steps`` times. On a GPU this returns before the work is done."""

    def time_launches(self) -> list[float]:
        """Run once, launch by launch, and wait for each: the seconds that each took, in the
        program's order. For looking at programs; the whole takes longer than `run`."""
        raise NotImplementedError(f"{type(self).__name__} does not time its launches")

    @abstractmethod
    def output(self, name: str) -> np.ndarray:
        """A copy of an output of the last run, once that is finished."""

    def call(self, name: str, array: np.ndarray, output: str) -> np.ndarray:
        """The program as a function of one array: bind it, run, and return an output.

        ``array`` has the input's dtype and shape, and lies in any order.
        """
        self.bind(name, np.require(array, requirements=["C", "A"]))
        self.run()
        return self.output(output)


class Device(ABC):
    """A place where programs run. It is the home of the variables of the programs it loaded."""

    name: str
    alignment: int
    """Bytes that every placed value's address is a multiple of."""
    native: frozenset[str]
    """Names of the ops that `lower` takes; all others must be decomposed first."""

    @abstractmethod
    def lower(self, node: Node) -> tuple[Call, ...]:
        """The calls that compute ``node``."""

    def join(self, calls: Sequence[Call]) -> Call | None:
        """One call that does the work of several, which do not depend on each other, in any
        order; None if that is not worth it, as it never is where a call costs next to nothing.
        """
        return None

    def estimate(self, call: Call) -> Cost | None:
        """What ``call`` takes, where calls may run side by side; None where they cannot."""
        return None

    @abstractmethod
    def load(self, program: Program) -> Executable:
        """Compile what is not compiled, allocate, and move the program's variables here."""

    def put(self, array: np.ndarray) -> Any:
        """``array`` for inputs of many programs: a CPU's as it is, a GPU's a copy there."""
        return array

    def borrow(self, array: Any) -> Resident:
        """Another library's array that is on this device, as data: where it lies, or a copy
        there.

        Raises
        ------
        DeviceError
            If it is on another device.
        """
        raise _not_here(array, self)

    def copied(self, array: Any) -> Variable:
        """A variable with a copy, here, of another library's array that is on this device.

        Raises
        ------
        DeviceError
            If it is on another device.
        """
        raise _not_here(array, self)

    def lend(self, variable: Variable) -> Any:
        """A variable's numbers where they lie, for other libraries; None on the host."""
        return None

    def has_room(self, nbytes: int) -> bool:
        """Whether so many bytes may be `put` here, and programs have enough left."""
        return True

    @abstractmethod
    def read(self, variable: Variable) -> np.ndarray:
        """A copy of a variable's numbers; waits for the runs that change them."""

    @abstractmethod
    def write(self, variable: Variable, array: np.ndarray) -> None:
        """Replace a variable's numbers."""


def _not_here(array: Any, device: Device) -> DeviceError:
    return DeviceError(
        f"a {type(array).__module__}.{type(array).__name__} is not in the host's memory, "
        f"and the device is {device.name!r}",
        mend='Copy it to the host (PyTorch: .cpu(), CuPy: .get()), or use device="cuda"',
    )
