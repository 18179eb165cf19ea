"""Optimizers with PyTorch's names, arguments and defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from numbanet.errors import ArgumentError
from numbanet.optim.optimizer import Optimizer, Options
from numbanet.optimizers.ranges import DECAY, FRACTION, NOT_NEGATIVE, Range
from numbanet.optimizers.rules import (
    AdadeltaRule,
    AdagradRule,
    AdamaxRule,
    AdamRule,
    ASGDRule,
    NAdamRule,
    RAdamRule,
    RMSpropRule,
    RpropRule,
    Rule,
    SGDRule,
)

_COMMON = {"lr": "learning_rate", "weight_decay": "weight_decay"}
_ADAM = {**_COMMON, "betas": ("beta_1", "beta_2"), "eps": "epsilon"}
_ADAM_RANGES = {
    "weight_decay": NOT_NEGATIVE,
    "beta_1": DECAY,
    "beta_2": DECAY,
    "epsilon": NOT_NEGATIVE,
}
_MOMENTS = {"moment_1": "exp_avg", "moment_2": "exp_avg_sq"}


def _flags(group: Options) -> dict[str, Any]:
    """What every rule has of a group's options."""
    decay = "decoupled" if group.get("decoupled_weight_decay") else "coupled"
    return {
        "maximize": bool(group["maximize"]),
        "decay": decay if group.get("weight_decay") else "none",
    }


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

    names: ClassVar = {**_COMMON, "momentum": "momentum", "dampening": "dampening"}
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
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError(
                "nesterov takes a momentum and no dampening",
                got=f"momentum={momentum}, dampening={dampening}",
            )
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return SGDRule(
            has_momentum=bool(group["momentum"]),
            has_dampening=bool(group["dampening"]),
            nesterov=bool(group["nesterov"]),
            **_flags(group),
        )


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015).

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    betas : (float, float)
        Decay of the two moments, in [0, 1).
    eps : float
        Added to the root of the corrected second moment.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    amsgrad : bool
        Divide by the largest second moment so far (Reddi et al., 2018).
    maximize : bool
        Climb instead of descend.
    decoupled_weight_decay : bool
        Parameters shrink by ``lr * weight_decay`` instead (Loshchilov and Hutter, 2019).
    foreach, capturable, differentiable, fused
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = _ADAM
    ranges: ClassVar = _ADAM_RANGES
    state_names: ClassVar = {**_MOMENTS, "largest_moment_2": "max_exp_avg_sq"}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return AdamRule(amsgrad=bool(group["amsgrad"]), **_flags(group))


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize
        See `Adam`.
    weight_decay : float
        Parameters shrink by ``lr * weight_decay`` a step.
    foreach, capturable, differentiable, fused
        Choices among PyTorch's implementations: only their defaults.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )


class Adamax(Optimizer):
    """Adamax (Kingma and Ba, 2015, section 7.1).

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    betas : (float, float)
        Decay of the moment and of the norm, in [0, 1).
    eps : float
        Added to each gradient's size.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    maximize : bool
        Climb instead of descend.
    foreach, differentiable, capturable
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = _ADAM
    ranges: ClassVar = _ADAM_RANGES
    state_names: ClassVar = {"moment": "exp_avg", "norm": "exp_inf"}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return AdamaxRule(epsilon_inside=True, **_flags(group))


class NAdam(Optimizer):
    """Adam with Nesterov momentum (Dozat, 2016).

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    betas : (float, float)
        Decay of the two moments, in [0, 1).
    eps : float
        Added to the root of the corrected second moment.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    momentum_decay : float
        The momentum of step t is ``betas[0] * (1 - 0.96 ** (t * momentum_decay) / 2)``.
    decoupled_weight_decay : bool
        Parameters shrink by ``lr * weight_decay`` instead.
    maximize : bool
        Climb instead of descend.
    foreach, capturable, differentiable
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = {**_ADAM, "momentum_decay": "momentum_decay"}
    ranges: ClassVar = {**_ADAM_RANGES, "momentum_decay": NOT_NEGATIVE}
    state_names: ClassVar = {**_MOMENTS, "momentum_product": "mu_product"}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return NAdamRule(**_flags(group))


class RAdam(Optimizer):
    """Rectified Adam (Liu et al., 2020).

    Parameters
    ----------
    params : iterable
        See `Optimizer`.
    lr : float
    betas : (float, float)
        Decay of the two moments, in [0, 1).
    eps : float
        Added to the root of the second moment.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient.
    decoupled_weight_decay : bool
        Parameters shrink by ``lr * weight_decay`` instead.
    maximize : bool
        Climb instead of descend.
    foreach, capturable, differentiable
        Choices among PyTorch's implementations: only their defaults.
    """

    names: ClassVar = _ADAM
    ranges: ClassVar = _ADAM_RANGES
    state_names: ClassVar = _MOMENTS

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return RAdamRule(**_flags(group))


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

    names: ClassVar = {**_COMMON, "alpha": "rho", "eps": "epsilon", "momentum": "momentum"}
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
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return RMSpropRule(
            has_momentum=bool(group["momentum"]),
            centered=bool(group["centered"]),
            **_flags(group),
        )


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
        **_COMMON,
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
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return AdagradRule(has_rate_decay=bool(group["lr_decay"]), **_flags(group))


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

    names: ClassVar = {**_COMMON, "rho": "rho", "eps": "epsilon"}
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
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return AdadeltaRule(**_flags(group))


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

    names: ClassVar = {**_COMMON, "lambd": "lambd", "alpha": "alpha", "t0": "t0"}
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
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return ASGDRule(**_flags(group))


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
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def rule(self, group: Options) -> Rule:
        return RpropRule(**_flags(group))
