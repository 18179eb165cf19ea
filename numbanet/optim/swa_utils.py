"""Averages of weights over training, and the learning rate that goes with them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.nn import Module
from numbanet.optim.lr_scheduler import LRScheduler
from numbanet.optim.optimizer import Optimizer
from numbanet.tensors.modes import no_grad
from numbanet.tensors.tensor import Tensor

Average = Callable[[Any, Any, Any], Any]
"""From the average, a parameter and the number of parameters averaged so far to the next."""


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``decay * average + (1 - decay) * parameter``.

    Raises
    ------
    ArgumentError
        If ``decay`` is not in [0, 1].
    """
    if not 0 <= decay <= 1:
        raise ArgumentError("decay is in [0, 1]", got=repr(decay))
    return lambda average, parameter, count: decay * average + (1 - decay) * parameter


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[Any, Any, Any], None]:
    """`get_ema_avg_fn` for lists, in place."""
    return _multi(get_ema_avg_fn(decay))


def get_swa_avg_fn() -> Average:
    """The plain average of all so far."""
    return lambda average, parameter, count: average + (parameter - average) / (count + 1)


def get_swa_multi_avg_fn() -> Callable[[Any, Any, Any], None]:
    """`get_swa_avg_fn` for lists, in place."""
    return _multi(get_swa_avg_fn())


def _multi(average: Average) -> Callable[[Any, Any, Any], None]:
    def update(averages: Any, parameters: Any, count: Any) -> None:
        with no_grad():
            for kept, parameter in zip(averages, parameters, strict=True):
                kept.copy_(average(kept, parameter, count))

    return update


class AveragedModel(Module):
    """A copy of a module that holds averages of its parameters.

    (Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
    2018.)

    Parameters
    ----------
    model : Module
    device : str, optional
        The device in use; no other is supported.
    avg_fn : callable, optional
        From an average, a parameter and the count so far to the next average; by default
        `get_swa_avg_fn`.
    multi_avg_fn : callable, optional
        The same for lists, in place.
    use_buffers : bool
        Whether buffers are averaged, too; else they are copied.

    Attributes
    ----------
    module : Module
    n_averaged : Tensor
        How often `update_parameters` was called.
    """

    n_averaged: Any

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Callable[[Any, Any, Any], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("AveragedModel takes avg_fn or multi_avg_fn", got="both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", Tensor.wrap(np.array(0, np.int64)))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn or _multi(avg_fn or get_swa_avg_fn())
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the parameters of ``model`` into the averages."""
        own, other = self._averaged(self.module), self._averaged(model)
        count = int(self.n_averaged.item())
        with no_grad():
            if count:
                self.multi_avg_fn(own, other, count)
            else:
                for mine, theirs in zip(own, other, strict=True):
                    mine.copy_(theirs)
            if not self.use_buffers:
                pairs: Any = zip(self.module.buffers(), model.buffers(), strict=True)
                for kept, buffer in pairs:
                    kept.copy_(buffer)
            self.n_averaged.fill_(count + 1)

    def _averaged(self, module: Module) -> list[Any]:
        buffers = module.buffers() if self.use_buffers else ()
        return [each.detach() for each in (*module.parameters(), *buffers)]


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running values of batch normalisations anew, as plain averages over a loader.

    Parameters
    ----------
    loader : iterable
        Of inputs, or of lists and tuples that begin with them.
    model : Module
    device : str, optional
        The device in use; no other is supported.
    """
    norms: dict[Any, float | None] = {
        module: module.momentum
        for module in model.modules()
        if hasattr(module, "reset_running_stats")
    }
    if not norms:
        return
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with no_grad():
        for batch in loader:
            inputs = batch[0] if isinstance(batch, list | tuple) else batch
            model(inputs if device is None else inputs.to(device))
    for norm, momentum in norms.items():
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """The learning rate on its way to a constant one.

    Parameters
    ----------
    optimizer : Optimizer
    swa_lr : float or list of float
        Where it goes; one for each group or for all.
    anneal_epochs : int
        How long it takes.
    anneal_strategy : {"cos", "linear"}
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                "unknown anneal_strategy",
                got=repr(anneal_strategy),
                expected="'cos' or 'linear'",
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ArgumentError(
                "anneal_epochs is an integer from 0 on", got=repr(anneal_epochs)
            )
        groups = optimizer.param_groups
        rates = swa_lr if isinstance(swa_lr, list | tuple) else [swa_lr] * len(groups)
        for group, rate in zip(groups, rates, strict=True):
            group["swa_lr"] = rate
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch: int) -> float:
        """How far the rate has gone."""
        part = min(1.0, max(0.0, epoch / max(1, self.anneal_epochs)))
        return part if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * part)) / 2

    def get_lr(self) -> list[float]:
        epoch = self._step_count - 1
        if self.anneal_epochs == 0:
            epoch = max(1, epoch)
        before, now = (
            self._share(max(0, min(epoch - 1, self.anneal_epochs))),
            self._share(epoch),
        )
        rates = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            # What it would have begun with, if it had gone this way so far.
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
