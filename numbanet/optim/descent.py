"""Gradient descent, its average, and descent by the gradient's sign."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from numbanet.errors import ArgumentError
from numbanet.optim.optimizer import Optimizer, Options
from numbanet.optim.options import COMMON, flags, given
from numbanet.optimizers.ranges import NOT_NEGATIVE, Range
from numbanet.optimizers.rules import ASGDRule, RpropRule, Rule, SGDRule


class SGD(Optimizer):
    """Gradient descent: ``v = momentum * v + (1 - dampening) * g; p = p - lr * v``.

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    momentum : float
    dampening : float
        Not of the first step.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    nesterov : bool
        Move along ``g + momentum * v`` (Sutskever et al., 2013).
    maximize : bool
        Climb instead of descend.
    foreach, differentiable, fused
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = {**COMMON, "momentum": "momentum", "dampening": "dampening"}
    ranges: ClassVar = {"weight_decay": NOT_NEGATIVE, "momentum": NOT_NEGATIVE}
    state_names: ClassVar = {"velocity": "momentum_buffer"}
    counts_steps = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError(
                "nesterov takes a momentum and no dampening",
                got=f"momentum={momentum}, dampening={dampening}",
            )
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return SGDRule(
            has_momentum=bool(group["momentum"]),
            has_dampening=bool(group["dampening"]),
            nesterov=bool(group["nesterov"]),
            **flags(group),
        )


class ASGD(Optimizer):
    """Averaged gradient descent (Polyak and Juditsky, 1992).

    The average is the entry ``ax`` of a parameter's state.

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    lambd : float
        The rate of step t is ``lr / (1 + lambd * lr * t) ** alpha``; parameters shrink by
        ``lambd`` times the rate.
    alpha : float
    t0 : float
        The step from which on parameters are averaged.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    maximize : bool
        Climb instead of descend.
    foreach, differentiable, capturable
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = {**COMMON, "lambd": "lambd", "alpha": "alpha", "t0": "t0"}
    ranges: ClassVar = {"weight_decay": NOT_NEGATIVE}
    state_names: ClassVar = {"average": "ax", "rate": "eta", "share": "mu"}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return ASGDRule(**flags(group))


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993), for whole batches.

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
        Size of the first step.
    etas : (float, float)
        By what the size of a step is multiplied when the gradient's sign changes and when not.
    step_sizes : (float, float)
        The smallest and the largest step.
    maximize : bool
        Climb instead of descend.
    capturable, foreach, differentiable
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = {
        "lr": "learning_rate",
        "etas": ("shrink", "grow"),
        "step_sizes": ("smallest", "largest"),
    }
    ranges: ClassVar = {
        "shrink": Range("in (0, 1)", lambda x: 0 < x < 1),
        "grow": Range("greater than 1", lambda x: x > 1),
    }
    state_names: ClassVar = {"previous": "prev", "size": "step_size"}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return RpropRule(**flags(group))
