"""A quasi-Newton method, for whole batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.optim.line_search import Point, Search
from numbanet.optim.optimizer import Optimizer, Options
from numbanet.optim.options import given
from numbanet.tensors.flush import assign
from numbanet.tensors.modes import enable_grad
from numbanet.tensors.tensor import Tensor

_LEAST_CURVATURE = 1e-10
_LEAST_BRACKET = 1e-9


@dataclass
class _Memory:
    """What is kept from iteration to iteration; all vectors are flat.

    Attributes
    ----------
    direction, length : ndarray, float
        Of the last step.
    changes, steps : list of ndarray
        Of gradients, and of parameters, the latest last.
    scale : float
        The first guess of the inverse Hessian is this times the identity.
    """

    func_evals: int = 0
    n_iter: int = 0
    direction: np.ndarray | None = None
    length: float = 0.0
    changes: list[np.ndarray] = field(default_factory=list)
    steps: list[np.ndarray] = field(default_factory=list)
    scale: float = 1.0
    gradient: np.ndarray | None = None
    loss: float | None = None

    def learn(self, gradient: np.ndarray, most: int) -> None:
        """Note how the gradient changed by the last step."""
        assert self.direction is not None
        assert self.gradient is not None
        change, step = gradient - self.gradient, self.direction * self.length
        curvature = float(change @ step)
        if curvature <= _LEAST_CURVATURE:
            return
        for kept, new in ((self.changes, change), (self.steps, step)):
            kept.append(new)
            del kept[:-most]
        self.scale = curvature / float(change @ change)

    def downwards(self, gradient: np.ndarray) -> np.ndarray:
        """Minus the gradient times the inverse Hessian that is known, by two loops."""
        pairs = list(zip(self.changes, self.steps, strict=True))
        direction, shares = -gradient, []
        for change, step in reversed(pairs):
            shares.append(float(step @ direction) / float(change @ step))
            direction = direction - shares[-1] * change
        direction = (direction * self.scale).astype(gradient.dtype)
        for (change, step), share in zip(pairs, reversed(shares), strict=True):
            own = float(change @ direction) / float(change @ step)
            direction = direction + step * (share - own)
        return direction


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal, 1980).

    ``step`` takes a closure, which it calls several times: each call runs one program, and what
    is done with its gradient is done on the host.

    Parameters
    ----------
    params : iterable of Tensor
        One group.
    lr : float
        The first length that is tried of a step.
    max_iter : int
        Steps of the method in one ``step``.
    max_eval : int, optional
        Calls of the closure in one ``step``, at most; ``max_iter * 5 / 4`` by default.
    tolerance_grad, tolerance_change : float
        A gradient, or a change of parameters or of the loss, that is smaller ends a ``step``.
    history_size : int
        How many changes are kept.
    line_search_fn : {None, "strong_wolfe"}
    """

    names = {"lr": "learning_rate"}  # noqa: RUF012 - as all optimizers have it

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        if line_search_fn not in (None, "strong_wolfe"):
            raise ArgumentError(
                "unknown line_search_fn", got=repr(line_search_fn), expected="'strong_wolfe'"
            )
        self._memory = _Memory()
        super().__init__(params, given(locals()))

    def _manage(self, group: Options) -> None:
        if self.param_groups:
            raise ArgumentError("LBFGS has one parameter group", got="another one")

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Call ``closure`` several times, and move the parameters.

        Parameters
        ----------
        closure : callable
            Computes the loss and its gradients anew.

        Returns
        -------
        Tensor
            What ``closure`` returned first.

        Raises
        ------
        ArgumentError
            If there is no closure.
        """
        if closure is None:
            raise ArgumentError("LBFGS.step() needs a closure")
        with enable_grad():
            first = _Run(self._params, self.param_groups[0], self._memory, closure).go()
        self.steps_called += 1
        return first

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """The memory, as that of the first parameter."""
        memory = self._memory
        if not memory.func_evals:
            return {}
        kept: dict[str, Any] = {"func_evals": memory.func_evals, "n_iter": memory.n_iter}
        if memory.direction is not None and memory.gradient is not None:
            curvatures = [
                1 / float(change @ step)
                for change, step in zip(memory.changes, memory.steps, strict=True)
            ]
            kept.update(
                d=_tensor(memory.direction),
                t=memory.length,
                old_dirs=list(map(_tensor, memory.changes)),
                old_stps=list(map(_tensor, memory.steps)),
                ro=[_tensor(np.asarray(each, memory.gradient.dtype)) for each in curvatures],
                H_diag=memory.scale,
                prev_flat_grad=_tensor(memory.gradient),
                prev_loss=memory.loss,
            )
        return {self._params[0]: kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        (saved,) = state_dict["param_groups"]
        if len(saved["params"]) != len(self._params):
            raise ArgumentError(
                "the state is of other parameters",
                got=str(len(saved["params"])),
                expected=str(len(self._params)),
            )
        self.param_groups[0].update({k: v for k, v in saved.items() if k != "params"})
        kept = state_dict["state"].get(saved["params"][0], {})
        self._memory = memory = _Memory(kept.get("func_evals", 0), kept.get("n_iter", 0))
        if "d" in kept:
            memory.direction, memory.length = _array(kept["d"]), float(kept["t"])
            memory.changes = list(map(_array, kept["old_dirs"]))
            memory.steps = list(map(_array, kept["old_stps"]))
            memory.scale, memory.loss = float(kept["H_diag"]), kept["prev_loss"]
            memory.gradient = _array(kept["prev_flat_grad"])


class _Run:
    """One call of ``step``."""

    def __init__(
        self,
        params: list[Tensor],
        group: Options,
        memory: _Memory,
        closure: Callable[[], Any],
    ) -> None:
        self.params, self.group = params, group
        self.memory, self.closure = memory, closure
        self.evaluations = 0

    def go(self) -> Any:
        group = self.group
        first, loss, gradient = self._evaluate()
        if np.abs(gradient).max() <= group["tolerance_grad"]:
            return first
        for number in range(1, group["max_iter"] + 1):
            new = self._advance(loss, gradient, is_last=number == group["max_iter"])
            if new is None:
                break
            before, (loss, gradient) = loss, new
            if self._is_over(before, loss, gradient):
                break
        return first

    def _is_over(self, before: float, loss: float, gradient: np.ndarray) -> bool:
        group, memory = self.group, self.memory
        assert memory.direction is not None
        least = group["tolerance_change"]
        return (
            self.evaluations >= group["max_eval"]
            or np.abs(gradient).max() <= group["tolerance_grad"]
            or np.abs(memory.direction * memory.length).max() <= least
            or abs(loss - before) < least
        )

    def _advance(
        self, loss: float, gradient: np.ndarray, *, is_last: bool
    ) -> tuple[float, np.ndarray] | None:
        """Take a step; the loss and gradient after it, None if there is no way down."""
        memory, rate = self.memory, self.group["lr"]
        memory.n_iter += 1
        if memory.n_iter == 1 or memory.gradient is None:
            memory.direction = -gradient
            rate = min(1.0, 1.0 / float(np.abs(gradient).sum())) * rate
        else:
            memory.learn(gradient, self.group["history_size"])
            memory.direction = memory.downwards(gradient)
        memory.gradient, memory.loss, memory.length = gradient, loss, rate
        slope = float(gradient @ memory.direction)
        if slope > -self.group["tolerance_change"]:
            return None
        if self.group["line_search_fn"] is not None:
            return self._search(Point(0.0, loss, gradient, slope))
        self._move(self._numbers(), memory.length)
        # Nobody asks what comes of the last step.
        return (loss, gradient) if is_last else self._evaluate()[1:]

    def _search(self, start: Point) -> tuple[float, np.ndarray]:
        memory, numbers = self.memory, self._numbers()
        assert memory.direction is not None

        def at(t: float) -> tuple[float, np.ndarray]:
            self._move(numbers, t)
            return self._evaluate()[1:]

        most = self.group["max_eval"] - self.evaluations
        search = Search(at, start, memory.direction, _LEAST_BRACKET, most)
        point = search.run(memory.length)
        memory.length = point.t
        self._move(numbers, point.t)
        return point.loss, point.gradient

    def _evaluate(self) -> tuple[Any, float, np.ndarray]:
        """What the closure returns, as a number too, and the flat gradient."""
        loss = self.closure()
        self.evaluations += 1
        self.memory.func_evals += 1
        return loss, float(loss), np.concatenate([_gradient(each) for each in self.params])

    def _numbers(self) -> list[np.ndarray]:
        return [each.array().copy() for each in self.params]

    def _move(self, numbers: list[np.ndarray], length: float) -> None:
        """Put the parameters at ``numbers`` and so far along the direction."""
        assert self.memory.direction is not None
        start = 0
        for param, array in zip(self.params, numbers, strict=True):
            part = self.memory.direction[start : start + array.size].reshape(array.shape)
            assign(param, (array + length * part).astype(array.dtype))
            start += array.size


def _gradient(param: Tensor) -> np.ndarray:
    gradient = param.grad
    if gradient is None:
        return np.zeros(param.tensor_type.size, param.dtype.numpy)
    return gradient.array().ravel()


def _tensor(array: np.ndarray) -> Tensor:
    return Tensor.wrap(array.copy())


def _array(tensor: Any) -> np.ndarray:
    return np.array(tensor)
