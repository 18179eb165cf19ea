"""Losses that ask for a margin, as modules; see `numbanet.nn.loss` for ``reduction``."""

from __future__ import annotations

from collections.abc import Callable

from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.distance import PairwiseDistance
from numbanet.nn.loss import Loss, TargetLoss
from numbanet.tensors.tensor import Tensor


class SoftMarginLoss(TargetLoss):
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
        super().__init__(size_average, reduce, reduction)


class HingeEmbeddingLoss(TargetLoss):
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
        super().__init__(size_average, reduce, reduction, margin=margin)


class _PairLoss(Loss):
    """A loss of two inputs and a target that says what becomes of the pair."""

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(input1, input2, target)


class CosineEmbeddingLoss(_PairLoss):
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
        super().__init__(size_average, reduce, reduction, margin=margin)


class MarginRankingLoss(_PairLoss):
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
        super().__init__(size_average, reduce, reduction, margin=margin)


class _TripletLoss(Loss):
    """A loss of an anchor, and of what should and what should not be near it."""

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss."""
        return self._loss(anchor, positive, negative)


class TripletMarginLoss(_TripletLoss):
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
        super().__init__(
            size_average, reduce, reduction, margin=margin, p=p, eps=eps, swap=swap
        )


class MultiMarginLoss(TargetLoss):
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
        super().__init__(size_average, reduce, reduction, p=p, margin=margin, weight=weight)


class MultiLabelMarginLoss(TargetLoss):
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
        super().__init__(size_average, reduce, reduction)


class MultiLabelSoftMarginLoss(TargetLoss):
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
        super().__init__(size_average, reduce, reduction, weight=weight)


class TripletMarginWithDistanceLoss(_TripletLoss):
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
        distance = PairwiseDistance() if distance_function is None else distance_function
        super().__init__(
            reduction=reduction, distance_function=distance, margin=margin, swap=swap
        )
