"""Losses as modules: settings for the functions of the same purpose.

All take ``reduction``: ``"none"`` gives a loss for each element, ``"mean"`` (the default) and
``"sum"`` a scalar. The older ``size_average`` and ``reduce`` raise NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.distance import PairwiseDistance
from numbanet.nn.functional.reduction import refuse_legacy
from numbanet.nn.module import Module
from numbanet.tensors.tensor import Tensor


class _Loss(Module):
    """A loss that calls ``function`` with the settings that it keeps as attributes."""

    function: Callable[..., Tensor]
    reduction: str

    def _set(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        **settings: Any,
    ) -> None:
        """Keep the settings; those that are weights become buffers."""
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


class _TargetLoss(_Loss):
    """A loss of an input and a target."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(input, target)


class CrossEntropyLoss(_TargetLoss):
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
        super().__init__()
        self._set(
            size_average,
            reduce,
            reduction,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
        )


class NLLLoss(_TargetLoss):
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
        super().__init__()
        self._set(size_average, reduce, reduction, weight=weight, ignore_index=ignore_index)


class MSELoss(_TargetLoss):
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
        super().__init__()
        self._set(size_average, reduce, reduction)


class L1Loss(_TargetLoss):
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
        super().__init__()
        self._set(size_average, reduce, reduction)


class SmoothL1Loss(_TargetLoss):
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
        super().__init__()
        self._set(size_average, reduce, reduction, beta=beta)


class HuberLoss(_TargetLoss):
    """Squares of differences up to ``delta``, lines beyond.

    See `numbanet.nn.functional.huber_loss`.
    """

    function = F.huber_loss

    def __init__(
        self,
        reduction: str = "mean",
        delta: float = 1.0,
    ) -> None:
        super().__init__()
        self._set(reduction=reduction, delta=delta)


class BCELoss(_TargetLoss):
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
        super().__init__()
        self._set(size_average, reduce, reduction, weight=weight)


class BCEWithLogitsLoss(_TargetLoss):
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
        super().__init__()
        self._set(size_average, reduce, reduction, weight=weight, pos_weight=pos_weight)


class KLDivLoss(_TargetLoss):
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
        super().__init__()
        self._set(size_average, reduce, reduction, log_target=log_target)


class PoissonNLLLoss(_Loss):
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
        super().__init__()
        self._set(size_average, reduce, reduction, log_input=log_input, full=full, eps=eps)

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(log_input, target)


class GaussianNLLLoss(_Loss):
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
        super().__init__()
        self._set(reduction=reduction, full=full, eps=eps)

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """The loss."""
        return self._loss(input, target, var)


class SoftMarginLoss(_TargetLoss):
    """``log(1 + exp(-target * input))`` for targets 1 and -1.

    See `numbanet.nn.functional.soft_margin_loss`.
    """

    function = F.soft_margin_loss

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self._set(size_average, reduce, reduction)


class HingeEmbeddingLoss(_TargetLoss):
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1.

    See `numbanet.nn.functional.hinge_embedding_loss`.
    """

    function = F.hinge_embedding_loss

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self._set(size_average, reduce, reduction, margin=margin)


class CosineEmbeddingLoss(_Loss):
    """How far the angle of two vectors is from what the target, 1 or -1, asks for.

    See `numbanet.nn.functional.cosine_embedding_loss`.
    """

    function = F.cosine_embedding_loss

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self._set(size_average, reduce, reduction, margin=margin)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(input1, input2, target)


class MarginRankingLoss(_Loss):
    """How far two numbers are from the order that the target, 1 or -1, asks for.

    See `numbanet.nn.functional.margin_ranking_loss`.
    """

    function = F.margin_ranking_loss

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self._set(size_average, reduce, reduction, margin=margin)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(input1, input2, target)


class TripletMarginLoss(_Loss):
    """How much nearer than ``margin`` the negative is to the anchor, beside the positive.

    See `numbanet.nn.functional.triplet_margin_loss`.
    """

    function = F.triplet_margin_loss

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self._set(size_average, reduce, reduction, margin=margin, p=p, eps=eps, swap=swap)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss."""
        return self._loss(anchor, positive, negative)


class MultiMarginLoss(_TargetLoss):
    """Margins between the score of the right class and all others.

    See `numbanet.nn.functional.multi_margin_loss`.
    """

    function = F.multi_margin_loss

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self._set(size_average, reduce, reduction, p=p, margin=margin, weight=weight)


class MultiLabelMarginLoss(_TargetLoss):
    """Margins between the scores of the right classes and all others.

    See `numbanet.nn.functional.multilabel_margin_loss`.
    """

    function = F.multilabel_margin_loss

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self._set(size_average, reduce, reduction)


class MultiLabelSoftMarginLoss(_TargetLoss):
    """Binary cross-entropy of ``sigmoid(input)``, the mean over classes.

    See `numbanet.nn.functional.multilabel_soft_margin_loss`.
    """

    function = F.multilabel_soft_margin_loss

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self._set(size_average, reduce, reduction, weight=weight)


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with any distance.

    See `numbanet.nn.functional.triplet_margin_with_distance_loss`.
    """

    function = F.triplet_margin_with_distance_loss

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        distance = PairwiseDistance() if distance_function is None else distance_function
        self._set(reduction=reduction, distance_function=distance, margin=margin, swap=swap)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss."""
        return self._loss(anchor, positive, negative)
