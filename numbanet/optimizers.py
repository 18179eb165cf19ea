"""Optimizers: elementwise rules over flat values, so that one launch updates a whole model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value, Variable


@dataclass(frozen=True, eq=False)
class Rates:
    """What a rule may use besides numbers of the parameters' shape.

    Attributes
    ----------
    learning_rate : Value
        A scalar of the parameters' dtype.
    step : Value
        Number of this step as a scalar of the parameters' dtype, the first being 1.
    """

    learning_rate: Value
    step: Value


class Optimizer(ABC):
    """Base of optimizers.

    Parameters
    ----------
    learning_rate : float

    Attributes
    ----------
    slots : tuple of str
        Names of the numbers kept for each parameter from step to step, zero at first.
    iterations : Variable
        Number of steps taken.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, learning_rate: float) -> None:
        _check("learning_rate", learning_rate, learning_rate >= 0, "not negative")
        self.rate = Variable(np.float32(learning_rate), "optimizer/learning_rate")
        self.iterations = Variable(np.int64(0), "optimizer/iterations")

    @property
    def learning_rate(self) -> float:
        """Read and written between steps; no step has to be compiled anew."""
        return float(self.rate.numpy())

    @learning_rate.setter
    def learning_rate(self, number: float) -> None:
        _check("learning_rate", number, number >= 0, "not negative")
        self.rate.assign(np.float32(number))

    @abstractmethod
    def update(
        self, parameter: Value, gradient: Value, slots: tuple[Value, ...], rates: Rates
    ) -> tuple[Value, tuple[Value, ...]]:
        """The new parameter and new slots, elementwise."""


class SGD(Optimizer):
    """Gradient descent with momentum.

    ``v = momentum * v + g; p = p - learning_rate * v``, with Nesterov's variant
    ``p = p - learning_rate * (g + momentum * v)`` (Sutskever et al., 2013). The learning rate
    is applied when a parameter moves, as in PyTorch, and not when the velocity is built, as in
    Keras: the two agree while the rate is constant, and a schedule acts at once in this form.

    Parameters
    ----------
    learning_rate : float
    momentum : float
        In [0, 1].
    nesterov : bool
    weight_decay : float
        ``weight_decay * p`` is added to the gradient (an L2 penalty), as in PyTorch.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate)
        _check("momentum", momentum, 0 <= momentum <= 1, "in [0, 1]")
        _check("weight_decay", weight_decay, weight_decay >= 0, "not negative")
        if nesterov and not momentum:
            raise ArgumentError("nesterov needs a momentum", got=repr(momentum))
        self.momentum = momentum
        self.nesterov = nesterov
        self.weight_decay = weight_decay
        self.slots = ("velocity",) if momentum else ()

    def update(
        self, parameter: Value, gradient: Value, slots: tuple[Value, ...], rates: Rates
    ) -> tuple[Value, tuple[Value, ...]]:
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        if not self.momentum:
            return parameter - rates.learning_rate * gradient, ()
        velocity = self.momentum * slots[0] + gradient
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameter - rates.learning_rate * direction, (velocity,)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1).

    Parameters
    ----------
    learning_rate : float
    beta_1, beta_2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        Added to the square root of the corrected second moment.
    """

    slots = ("moment_1", "moment_2")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        super().__init__(learning_rate)
        _check("beta_1", beta_1, 0 <= beta_1 < 1, "in [0, 1)")
        _check("beta_2", beta_2, 0 <= beta_2 < 1, "in [0, 1)")
        _check("epsilon", epsilon, epsilon > 0, "positive")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def update(
        self, parameter: Value, gradient: Value, slots: tuple[Value, ...], rates: Rates
    ) -> tuple[Value, tuple[Value, ...]]:
        first = self.beta_1 * slots[0] + (1 - self.beta_1) * gradient
        second = self.beta_2 * slots[1] + (1 - self.beta_2) * gradient * gradient
        # Both corrections are scalars: computed once a step, not once an element.
        rate = rates.learning_rate / (1.0 - ops.power(self.beta_1, rates.step))
        root = ops.sqrt(1.0 - ops.power(self.beta_2, rates.step))
        deviation = ops.sqrt(second) / root + self.epsilon
        return parameter - rate * first / deviation, (first, second)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Parameters
    ----------
    learning_rate : float
    beta_1, beta_2, epsilon : float
        See `Adam`.
    weight_decay : float
        Parameters shrink by ``learning_rate * weight_decay`` a step.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.004,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon)
        _check("weight_decay", weight_decay, weight_decay >= 0, "not negative")
        self.weight_decay = weight_decay

    def update(
        self, parameter: Value, gradient: Value, slots: tuple[Value, ...], rates: Rates
    ) -> tuple[Value, tuple[Value, ...]]:
        decayed = parameter - rates.learning_rate * self.weight_decay * parameter
        moved, slots = super().update(decayed, gradient, slots, rates)
        return moved, slots


def _check(argument: str, number: float, is_fine: bool, expected: str) -> None:
    if not is_fine:
        raise ArgumentError(f"{argument} is {expected}", got=repr(number))


OptimizerLike = str | Optimizer

_NAMES: dict[str, Callable[[], Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def get(identifier: OptimizerLike) -> Optimizer:
    """The optimizer of a name such as ``"sgd"``, with its defaults."""
    if isinstance(identifier, Optimizer):
        return identifier
    make = _NAMES.get(identifier.lower()) if isinstance(identifier, str) else None
    if make is None:
        raise ArgumentError(
            "unknown optimizer",
            got=repr(identifier),
            expected=", ".join(_NAMES) + ", or an Optimizer",
        )
    return make()
