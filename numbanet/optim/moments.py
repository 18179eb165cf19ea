"""Adam and its kin: means of gradients over means of their squares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from numbanet.optim.optimizer import Optimizer, Options
from numbanet.optim.options import COMMON, flags, given
from numbanet.optimizers.ranges import DECAY, NOT_NEGATIVE
from numbanet.optimizers.rules import AdamaxRule, AdamRule, NAdamRule, RAdamRule, Rule

_NAMES = {**COMMON, "betas": ("beta_1", "beta_2"), "eps": "epsilon"}
_RANGES = {
    "weight_decay": NOT_NEGATIVE,
    "beta_1": DECAY,
    "beta_2": DECAY,
    "epsilon": NOT_NEGATIVE,
}
_MOMENTS = {"moment_1": "exp_avg", "moment_2": "exp_avg_sq"}


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

    names: ClassVar = _NAMES
    ranges: ClassVar = _RANGES
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
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return AdamRule(amsgrad=bool(group["amsgrad"]), **flags(group))


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

    names: ClassVar = _NAMES
    ranges: ClassVar = _RANGES
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
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return AdamaxRule(epsilon_inside=True, **flags(group))


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

    names: ClassVar = {**_NAMES, "momentum_decay": "momentum_decay"}
    ranges: ClassVar = {**_RANGES, "momentum_decay": NOT_NEGATIVE}
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
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return NAdamRule(**flags(group))


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

    names: ClassVar = _NAMES
    ranges: ClassVar = _RANGES
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
        super().__init__(params, given(locals()))

    def rule(self, group: Options) -> Rule:
        return RAdamRule(**flags(group))
