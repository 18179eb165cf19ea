"""Optimizers with Keras's names, arguments and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numbanet.errors import ArgumentError
from numbanet.optimizers.optimizer import Extras, Optimizer, Options, Rate
from numbanet.optimizers.rules import (
    AdadeltaRule,
    AdagradRule,
    AdamaxRule,
    AdamRule,
    LionRule,
    MuonRule,
    NAdamRule,
    RMSpropRule,
    SGDRule,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SGD(Optimizer):
    """Gradient descent with momentum.

    ``v = momentum * v + learning_rate * g; p = p - v``, with Nesterov's variant
    ``p = p - (learning_rate * g + momentum * v)`` (Sutskever et al., 2013). PyTorch's form, in
    `numbanet.optim`, applies the rate to the velocity: the two differ while the rate changes.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    momentum : float
        In [0, 1].
    nesterov : bool
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        if nesterov and not momentum:
            raise ArgumentError("nesterov needs a momentum", got=repr(momentum))
        rule = SGDRule(has_momentum=bool(momentum), nesterov=nesterov, rate_in_velocity=True)
        super().__init__(rule, learning_rate, {"momentum": momentum}, **options)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with AMSGrad (Reddi et al., 2018).

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the root of the second moment before that is corrected: "epsilon hat" in the
        paper, and what Keras does.
    amsgrad : bool
        Divide by the largest second moment so far.
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        rule = AdamRule(amsgrad=amsgrad, epsilon_hat=True)
        numbers = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(rule, learning_rate, numbers, **options)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    weight_decay : float
        Parameters shrink by ``learning_rate * weight_decay`` a step.
    beta_1, beta_2, epsilon, amsgrad
        See `Adam`.
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[Extras],
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay=weight_decay,
            **options,
        )


class Adamax(Optimizer):
    """Adamax (Kingma and Ba, 2015, section 7.1).

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1, beta_2 : float
        Decay of the moment and of the norm, in [0, 1).
    epsilon : float
        Added to the norm.
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        numbers = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(AdamaxRule(), learning_rate, numbers, **options)


class Nadam(Optimizer):
    """Adam with Nesterov momentum (Dozat, 2016).

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the root of the corrected second moment.
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        numbers = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(
            NAdamRule(), learning_rate, {**numbers, "momentum_decay": 1.0}, **options
        )


class RMSprop(Optimizer):
    """RMSprop (Hinton, 2012).

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    rho : float
        Decay of the average of squared gradients.
    momentum : float
        In [0, 1]. The learning rate scales what enters the velocity.
    epsilon : float
        Added to the average before its root is taken.
    centered : bool
        Divide by the root of the variance instead (Graves, 2013).
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        rule = RMSpropRule(
            has_momentum=bool(momentum),
            centered=centered,
            epsilon_inside=True,
            rate_in_velocity=True,
        )
        numbers = {"rho": rho, "momentum": momentum, "epsilon": epsilon}
        super().__init__(rule, learning_rate, numbers, **options)


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011).

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    initial_accumulator_value : float
        Of the sum of squared gradients.
    epsilon : float
        Added to the sum before its root is taken.
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        numbers = {"initial": initial_accumulator_value, "epsilon": epsilon}
        super().__init__(AdagradRule(epsilon_inside=True), learning_rate, numbers, **options)


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012).

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        1.0 gives the paper's form.
    rho : float
        Decay of the averages of squared gradients and squared steps.
    epsilon : float
        Added to both averages before their roots are taken.
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            AdadeltaRule(), learning_rate, {"rho": rho, "epsilon": epsilon}, **options
        )


class Lion(Optimizer):
    """Lion (Chen et al., 2023): steps of one size, along the sign of an average.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    beta_1 : float
        Decay of the average whose sign is taken, in (0, 1).
    beta_2 : float
        Decay of the average that is kept, in [0, 1).
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **options: Unpack[Options],
    ) -> None:
        if not beta_1 > 0:
            raise ArgumentError("beta_1 is in (0, 1)", got=repr(beta_1))
        super().__init__(
            LionRule(), learning_rate, {"beta_1": beta_1, "beta_2": beta_2}, **options
        )


class Muon(Optimizer):
    """Muon (Jordan et al., 2024) for matrices, AdamW for all other parameters.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
    adam_beta_1, adam_beta_2, epsilon, adam_weight_decay : float
        AdamW's; see `AdamW`.
    weight_decay : float
        Of matrices.
    exclude_layers : sequence of str, optional
        Regular expressions: matrices whose path has a match are left to AdamW.
    exclude_embeddings : bool
        Whether matrices of embeddings are.
    muon_a, muon_b, muon_c : float
        Coefficients of the Newton-Schulz polynomial.
    adam_lr_ratio : float
        AdamW's learning rate, as a multiple of ``learning_rate``.
    momentum : float
    ns_steps : int
        Newton-Schulz iterations.
    nesterov : bool
    rms_rate : float, optional
        Matrices move by ``rms_rate * sqrt(longer side)`` times the learning rate (Liu et al.,
        2025), which suits AdamW's rates.
    **options
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1.0,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **options: Unpack[Extras],
    ) -> None:
        rule = MuonRule(
            excluded=(*(exclude_layers or ()), *(["(?i)embedding"] * exclude_embeddings)),
            nesterov=nesterov,
            steps=ns_steps,
            coefficients=(muon_a, muon_b, muon_c),
            rms_rate=rms_rate,
        )
        # The rule decays matrices and all others by numbers of their own.
        numbers = {
            "weight_decay": weight_decay or 0.0,
            "adam_decay": adam_weight_decay or 0.0,
            "adam_ratio": adam_lr_ratio,
            "momentum": momentum,
            "beta_1": adam_beta_1,
            "beta_2": adam_beta_2,
            "epsilon": epsilon,
        }
        super().__init__(rule, learning_rate, numbers, **options)
