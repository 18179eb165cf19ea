"""A rate for each parameter, by the squares of its gradients so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from numbanet.optim.optimizer import Optimizer, Options
from numbanet.optim.options import COMMON, flags, given
from numbanet.optimizers.ranges import FRACTION, NOT_NEGATIVE
from numbanet.optimizers.rules import AdadeltaRule, AdagradRule, RMSpropRule, Rule


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011).

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    lr_decay : float
        The rate of step t is ``lr / (1 + (t - 1) * lr_decay)``.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    initial_accumulator_value : float
        Of the sum of squared gradients.
    eps : float
        Added to the root of the sum.
    maximize : bool
        Climb instead of descend.
    foreach, differentiable, fused
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = {
        **COMMON,
        "lr_decay": "rate_decay",
        "initial_accumulator_value": "initial",
        "eps": "epsilon",
    }
    ranges: ClassVar = dict.fromkeys(
        ("weight_decay", "rate_decay", "initial", "epsilon"), NOT_NEGATIVE
    )

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return AdagradRule(has_rate_decay=bool(group["lr_decay"]), **flags(group))


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012).

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    rho : float
        Decay of the averages of squared gradients and squared steps.
    eps : float
        Added to both averages before their roots are taken.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    maximize : bool
        Climb instead of descend.
    foreach, capturable, differentiable
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = {**COMMON, "rho": "rho", "eps": "epsilon"}
    ranges: ClassVar = {"weight_decay": NOT_NEGATIVE, "rho": FRACTION, "epsilon": NOT_NEGATIVE}
    state_names: ClassVar = {"square": "square_avg", "step_square": "acc_delta"}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return AdadeltaRule(**flags(group))


class RMSprop(Optimizer):
    """RMSprop (Hinton, 2012).

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    alpha : float
        Decay of the average of squared gradients.
    eps : float
        Added to the root of the average.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    momentum : float
        The learning rate scales what leaves the velocity.
    centered : bool
        Divide by the root of the variance instead (Graves, 2013).
    maximize : bool
        Climb instead of descend.
    capturable, foreach, differentiable
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = {**COMMON, "alpha": "rho", "eps": "epsilon", "momentum": "momentum"}
    ranges: ClassVar = dict.fromkeys(
        ("weight_decay", "rho", "epsilon", "momentum"), NOT_NEGATIVE
    )
    state_names: ClassVar = {
        "square": "square_avg",
        "mean": "grad_avg",
        "velocity": "momentum_buffer",
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return RMSpropRule(
            has_momentum=bool(group["momentum"]),
            centered=bool(group["centered"]),
            **flags(group),
        )
