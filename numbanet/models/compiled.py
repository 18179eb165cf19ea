"""What a model was told about its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from numbanet.errors import ArgumentError
from numbanet.layers.module import is_size
from numbanet.models.objective import (
    LossSpec,
    MetricSpec,
    Objective,
    check_names,
    make_objective,
)
from numbanet.models.signature import Signature
from numbanet.optimizers import Optimizer
from numbanet.runtime.device import Device


@dataclass(frozen=True)
class Compiled:
    """What `Model.compile` was given."""

    optimizer: Optimizer
    loss: LossSpec
    loss_weights: Mapping[str, float] | Sequence[float] | None
    metrics: MetricSpec | None
    weighted_metrics: MetricSpec | None
    run_eagerly: bool
    steps_per_execution: int | str
    jit_compile: str | bool
    auto_scale_loss: bool
    device: Device

    def __post_init__(self) -> None:
        if self.run_eagerly:
            raise NotImplementedError("run_eagerly=True: steps are always compiled")
        if self.jit_compile not in ("auto", True):
            raise NotImplementedError("jit_compile=False: steps are always compiled")
        if self.steps_per_execution != "auto" and not is_size(self.steps_per_execution):
            raise ArgumentError(
                "steps_per_execution is a positive integer, or 'auto'",
                got=repr(self.steps_per_execution),
            )

    def check(self, signature: Signature | None) -> None:
        """Raise ArgumentError for what no model, or not this one, can be trained with."""
        if signature is not None:
            self.objective(signature)
            return
        check_names(self.loss, self.metrics)
        check_names((), self.weighted_metrics)

    def objective(self, signature: Signature) -> Objective:
        """Loss and metrics of a model's outputs."""
        return make_objective(
            list(signature.outputs),
            self.loss,
            self.metrics,
            self.loss_weights,
            self.weighted_metrics,
            signature.masked,
        )


def require_positive(**numbers: int | None) -> None:
    """Raise ArgumentError for a number that is given and not a positive integer."""
    for name, number in numbers.items():
        if number is not None and not is_size(number):
            raise ArgumentError(f"{name} is a positive integer", got=repr(number))
