"""Losses as modules: settings for the functions of the same purpose.

All take ``reduction``: ``"none"`` gives a loss for each element, ``"mean"`` (the default) and
``"sum"`` a scalar. The older ``size_average`` and ``reduce`` raise NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.functional.reduction import refuse_legacy
from numbanet.nn.module import Module
from numbanet.tensors.tensor import Tensor


class Loss(Module):
    """A loss that calls ``function`` with the settings that it keeps as attributes."""

    function: Callable[..., Tensor]
    reduction: str

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        **settings: Any,
    ) -> None:
        """Keep the settings; those that are weights become buffers."""
        super().__init__()
        refuse_legacy(size_average, reduce)
        self.reduction = reduction
        self._settings = tuple(settings)
        for name, setting in settings.items():
            if name in ("weight", "pos_weight"):
                self.register_buffer(name, setting)
            else:
                setattr(self, name, setting)

    def _loss(self, *tensors: Tensor | float) -> Tensor:
        settings = {name: getattr(self, name) for name in self._settings}
        return type(self).function(*tensors, reduction=self.reduction, **settings)


class TargetLoss(Loss):
    """A loss of an input and a target."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(input, target)


class CrossEntropyLoss(TargetLoss):
    """Cross-entropy between the softmax of scores and classes or probabilities.

    See `numbanet.nn.functional.cross_entropy`.
    """

    function = F.cross_entropy

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            size_average,
            reduce,
            reduction,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
        )


class NLLLoss(TargetLoss):
    """Negative log likelihood of classes, from logarithms of probabilities.

    See `numbanet.nn.functional.nll_loss`.
    """

    function = F.nll_loss

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(
            size_average, reduce, reduction, weight=weight, ignore_index=ignore_index
        )


class MSELoss(TargetLoss):
    """``(input - target) ** 2``.

    See `numbanet.nn.functional.mse_loss`.
    """

    function = F.mse_loss

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)


class L1Loss(TargetLoss):
    """``|input - target|``.

    See `numbanet.nn.functional.l1_loss`.
    """

    function = F.l1_loss

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)


class SmoothL1Loss(TargetLoss):
    """Squares of small differences, absolute values of large ones.

    See `numbanet.nn.functional.smooth_l1_loss`.
    """

    function = F.smooth_l1_loss

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction, beta=beta)


class HuberLoss(TargetLoss):
    """Squares of differences up to ``delta``, lines beyond.

    See `numbanet.nn.functional.huber_loss`.
    """

    function = F.huber_loss

    def __init__(
        self,
        reduction: str = "mean",
        delta: float = 1.0,
    ) -> None:
        super().__init__(reduction=reduction, delta=delta)


class BCELoss(TargetLoss):
    """Binary cross-entropy of probabilities.

    See `numbanet.nn.functional.binary_cross_entropy`.
    """

    function = F.binary_cross_entropy

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction, weight=weight)


class BCEWithLogitsLoss(TargetLoss):
    """Binary cross-entropy of ``sigmoid(input)``.

    See `numbanet.nn.functional.binary_cross_entropy_with_logits`.
    """

    function = F.binary_cross_entropy_with_logits

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction, weight=weight, pos_weight=pos_weight)


class KLDivLoss(TargetLoss):
    """Kullback and Leibler's divergence; ``reduction`` may be ``"batchmean"``.

    See `numbanet.nn.functional.kl_div`.
    """

    function = F.kl_div

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction, log_target=log_target)


class PoissonNLLLoss(Loss):
    """Negative log likelihood of counts that follow Poisson's law.

    See `numbanet.nn.functional.poisson_nll_loss`.
    """

    function = F.poisson_nll_loss

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(
            size_average, reduce, reduction, log_input=log_input, full=full, eps=eps
        )

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(log_input, target)


class GaussianNLLLoss(Loss):
    """Negative log likelihood of numbers that follow a normal law.

    See `numbanet.nn.functional.gaussian_nll_loss`.
    """

    function = F.gaussian_nll_loss

    def __init__(
        self,
        *,
        full: bool = False,
        eps: float = 1e-6,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction, full=full, eps=eps)

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """The loss."""
        return self._loss(input, target, var)


class CTCLoss(Loss):
    """Connectionist temporal classification; see `functional.ctc_loss`.

    Parameters
    ----------
    blank : int
    reduction : {"mean", "sum", "none"}
    zero_infinity : bool
    """

    function = F.ctc_loss

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__(None, None, reduction, blank=blank, zero_infinity=zero_infinity)

    def forward(
        self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        """The loss."""
        return self._loss(log_probs, targets, input_lengths, target_lengths)
