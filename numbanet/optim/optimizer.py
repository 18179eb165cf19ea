"""The optimizer's protocol: parameter groups, steps, and state dicts."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir import Variable
from numbanet.optim.history import History, follow, histories, partitions
from numbanet.optimizers.ranges import NOT_NEGATIVE, Range, check
from numbanet.optimizers.rules import Rule
from numbanet.tensors import optimize
from numbanet.tensors.partition import Partition
from numbanet.tensors.tensor import Tensor

Options = dict[str, Any]

IMPLEMENTATION: Mapping[str, Any] = {
    "foreach": None,
    "fused": None,
    "capturable": False,
    "differentiable": False,
}
"""Options that choose among PyTorch's implementations, and what they must be here."""


class Optimizer:
    """Base of optimizers: parameter groups, and a rule that each group's options make.

    Parameters
    ----------
    params : iterable of Tensor, of (str, Tensor), or of dict
        What to optimize: all with the default options, or parameter groups: dicts with the
        entry ``params`` and options of their own.
    defaults : dict
        Options of groups that do not have them.

    Attributes
    ----------
    param_groups : list of dict
        Options can be changed between steps. Nothing is compiled anew for a learning rate, and
        once for each other number that changes.

    Raises
    ------
    TypeError
        If ``params`` is a tensor, or something in it is none.
    ValueError
        If there is nothing in it, a parameter is in several groups, or a number is not where it
        may be.
    NotImplementedError
        If an option asks for a certain implementation of PyTorch's.
    """

    names: ClassVar[Mapping[str, str | tuple[str, ...]]] = {}
    """What the rule calls the options that are numbers; several names for a tuple."""
    ranges: ClassVar[Mapping[str, Range]] = {}
    """Where numbers may lie, by the rule's names; ``learning_rate`` is not negative."""
    state_names: ClassVar[Mapping[str, str]] = {}
    """What ``state_dict`` calls the rule's slots."""
    counts_steps: ClassVar[bool] = True
    """Whether ``state_dict`` holds the number of steps."""

    def __init__(self, params: Iterable[Any], defaults: Options) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[Options] = []
        self.steps_called = 0
        self._movers: list[_Mover] = []
        if isinstance(params, Tensor):
            raise TypeError("an optimizer takes an iterable of tensors, got one tensor")
        groups = list(params)
        if not groups:
            raise ArgumentError("an optimizer takes parameters", got="an empty list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def rule(self, group: Options) -> Rule:
        """The rule that the options of a group make; subclasses say it."""
        raise NotImplementedError(f"{type(self).__name__} does not implement rule()")

    def numbers(self, group: Options) -> dict[str, float]:
        """The hyperparameters of a group, by the rule's names."""
        found: dict[str, float] = {}
        for option, names in self.names.items():
            is_tuple = isinstance(names, tuple)
            values = group[option] if is_tuple else (group[option],)
            for name, value in zip(names if is_tuple else (names,), values, strict=True):
                if not isinstance(value, Real):
                    raise NotImplementedError(f"{option} is a number, got {value!r}")
                found[name] = float(value)
        return found

    # Groups.

    def add_param_group(self, param_group: Options) -> None:
        """Optimize more parameters, with options of their own.

        Parameters
        ----------
        param_group : dict
            ``params``: a tensor, or an iterable of tensors or of pairs with names; options.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"a parameter group is a dict, got {type(param_group).__name__}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError("parameters have an order, which a set has not: pass a list")
        members: list[Any] = [given] if isinstance(given, Tensor) else list(given)
        group = {**param_group, "params": members}
        if members and isinstance(members[0], tuple):
            group["param_names"] = [name for name, _ in members]
            group["params"] = members = [member for _, member in members]
        for name, value in self.defaults.items():
            group.setdefault(name, value)
            if isinstance(value, tuple):
                group[name] = tuple(group[name])
        self._check_members(members)
        self._check_options(group)
        for member in members:
            _become_variable(member)
        self._manage(group)
        self.param_groups.append(group)

    def _manage(self, group: Options) -> None:
        """Take over a new group."""
        self._movers.append(_Mover(self, group))

    def _check_members(self, members: list[Any]) -> None:
        taken = {id(each) for group in self.param_groups for each in group["params"]}
        for member in members:
            if not isinstance(member, Tensor):
                raise TypeError(f"an optimizer takes tensors, got {type(member).__name__}")
            if not member.is_leaf:
                raise ArgumentError("a result of operations cannot be optimized")
            if id(member) in taken:
                raise ArgumentError("a parameter is in one parameter group, and there once")
            taken.add(id(member))

    def _check_options(self, group: Options) -> None:
        for name, value in IMPLEMENTATION.items():
            if group.get(name, value) not in (value, False):
                raise NotImplementedError(
                    f"{name}={group[name]!r}: it chooses an implementation that PyTorch has"
                )
        check(self.numbers(group), {"learning_rate": NOT_NEGATIVE, **self.ranges})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or make them zero."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none or parameter.gradient is None:
                    parameter.gradient = None
                else:
                    zeros = np.zeros(parameter.tensor_type.sizes, parameter.dtype.numpy)
                    parameter.grad = Tensor.wrap(zeros)

    # Steps.

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the parameters that have a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients anew; called once, before the step.

        Returns
        -------
        Tensor or None
            What ``closure`` returned.
        """
        loss = None if closure is None else closure()
        for mover in self._movers:
            mover.look()
        optimize.step(self, self._movers)
        self.steps_called += 1
        return loss

    # State.

    @property
    def state(self) -> dict[Tensor, dict[str, Tensor]]:
        """What is kept of each parameter that has stepped: copies, in PyTorch's layout."""
        kept = {
            parameter: history
            for mover in self._movers
            for parameter, history in histories(mover.partitions)
        }
        return {
            parameter: self._shown(parameter, kept[parameter])
            for group in self.param_groups
            for parameter in group["params"]
            if parameter in kept
        }

    def _shown(self, parameter: Tensor, history: History) -> dict[str, Tensor]:
        shown: dict[str, Tensor] = {}
        if self.counts_steps:
            shown["step"] = Tensor.wrap(np.array(history.steps, np.float32))
        for name, array in history.arrays().items():
            shown[self.state_names.get(name, name)] = Tensor.wrap(array)
        return shown

    def state_dict(self) -> dict[str, Any]:
        """State and options in PyTorch's layout, with numbers in the parameters' place."""
        members = [each for group in self.param_groups for each in group["params"]]
        number = {id(each): position for position, each in enumerate(members)}
        return {
            "state": {number[id(each)]: kept for each, kept in self.state.items()},
            "param_groups": [
                {**group, "params": [number[id(each)] for each in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where ``state_dict`` was written, here or by PyTorch.

        Raises
        ------
        ValueError
            If its groups are not as many or as long as this optimizer's, or its arrays are not
            of the parameters' shapes. Nothing has changed then.
        """
        saved = state_dict["param_groups"]
        lengths = [len(group["params"]) for group in saved]
        expected = [len(group["params"]) for group in self.param_groups]
        if lengths != expected:
            raise ArgumentError(
                "the state is of other parameter groups",
                got=str(lengths),
                expected=str(expected),
            )
        members = [each for group in self.param_groups for each in group["params"]]
        numbers = [number for group in saved for number in group["params"]]
        inward = {shown: name for name, shown in self.state_names.items()}
        kept = {
            parameter: History.of(parameter, state_dict["state"][number], inward)
            for parameter, number in zip(members, numbers, strict=True)
            if number in state_dict["state"]
        }
        for mover, options in zip(self._movers, saved, strict=True):
            mover.load(options, kept)

    def __repr__(self) -> str:
        lines = []
        for position, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {position}")
            lines += [
                f"    {name}: {group[name]}" for name in sorted(group) if name != "params"
            ]
            lines.append("")
        return "\n".join([f"{type(self).__name__} (", *lines[:-1], ")"])


class _Mover:
    """A parameter group as `numbanet.tensors.optimize` sees it."""

    def __init__(self, optimizer: Optimizer, group: Options) -> None:
        self.optimizer = optimizer
        self.group = group
        self.rule = optimizer.rule(group)
        self.numbers: Mapping[str, float] = optimizer.numbers(group)
        self.partitions: list[Partition] = []
        self._seen = self._options()
        self._values: list[Any] = []
        """All of the group's values, to see at a glance that they are the same."""

    @property
    def params(self) -> list[Tensor]:
        return self.group["params"]

    def _options(self) -> tuple[Any, ...]:
        return tuple(value for name, value in self.group.items() if name != "params")

    def look(self) -> None:
        """Note what has changed of the options since the last step."""
        values = self.group.values()
        if len(values) == len(self._values) and all(map(operator.is_, values, self._values)):
            return
        self._values = list(values)
        options = self._options()
        if options == self._seen:
            return
        self._seen = options
        self.numbers = self.optimizer.numbers(self.group)
        rule = self.optimizer.rule(self.group)
        if rule != self.rule:
            self.partitions = follow(self.partitions, rule, self.numbers)
            self.rule = rule

    def load(self, options: Options, kept: Mapping[Tensor, History]) -> None:
        """Take options of a state dict, and what it keeps of the parameters."""
        for name, value in options.items():
            if name != "params" and name not in IMPLEMENTATION:
                self.group[name] = value
        self._seen = self._options()
        self.rule = self.optimizer.rule(self.group)
        self.numbers = self.optimizer.numbers(self.group)
        known = {each: kept[each] for each in self.params if each in kept}
        self.partitions = partitions(known, self.rule, self.numbers)


def _become_variable(tensor: Tensor) -> None:
    """Let a variable hold the numbers of a bare tensor, so that programs can change them."""
    if tensor.variable is None:
        tensor._show(Variable(tensor.array(), "tensor", trainable=True))
