"""Line search for the strong Wolfe conditions.

Nocedal and Wright, "Numerical Optimization", 2006, algorithms 3.5 and 3.6, with the safeguards
of Schmidt's minFunc, so that the points are those that PyTorch's LBFGS tries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Evaluate = Callable[[float], tuple[float, np.ndarray]]
"""From the length of a step to the loss there, and its gradient."""

_DECREASE, _CURVATURE = 1e-4, 0.9


class Point(NamedTuple):
    """A length of the step, and the loss, gradient and slope there."""

    t: float
    loss: float
    gradient: np.ndarray
    slope: float


class Search:
    """The search for a step along a direction.

    Parameters
    ----------
    evaluate : callable
    start : Point
        At length zero; its slope is negative.
    direction : ndarray
    least : float
        A bracket that changes no parameter by more than this ends the search.
    most : int
        How often it may try, after the first time.
    """

    def __init__(
        self, evaluate: Evaluate, start: Point, direction: np.ndarray, least: float, most: int
    ) -> None:
        self.evaluate, self.start, self.most = evaluate, start, most
        self.direction, self.least = direction, least
        self.reach = float(np.abs(direction).max())
        self.tries = 0

    def run(self, t: float) -> Point:
        """Where the search ends that begins with the length ``t``."""
        bracket = self._bracket(self._at(t))
        return bracket[0] if len(bracket) == 1 else self._zoom(bracket)

    def _at(self, t: float) -> Point:
        self.tries += 1
        loss, gradient = self.evaluate(t)
        return Point(t, loss, gradient, float(gradient @ self.direction))

    def _is_too_high(self, point: Point) -> bool:
        limit = self.start.loss + _DECREASE * point.t * self.start.slope
        return point.loss > limit

    def _is_flat(self, point: Point) -> bool:
        return abs(point.slope) <= -_CURVATURE * self.start.slope

    def _bracket(self, point: Point) -> list[Point]:
        """Two points with an acceptable one between them, or one that is acceptable."""
        before = self.start
        for number in range(self.most):
            rises = number > 1 and point.loss >= before.loss
            if self._is_too_high(point) or rises:
                return [before, point]
            if self._is_flat(point):
                return [point]
            if point.slope >= 0:
                return [before, point]
            bounds = point.t + 0.01 * (point.t - before.t), point.t * 10
            before, point = point, self._at(between(before, point, bounds))
        return [self.start, point]

    def _zoom(self, ends: list[Point]) -> Point:
        low, high = sorted(ends, key=lambda point: point.loss)
        was_short = False
        while self.tries <= self.most:
            if abs(high.t - low.t) * self.reach < self.least:
                break
            left, right = sorted((low, high), key=lambda point: point.t)
            t, was_short = _inside(left, right, was_short)
            point = self._at(t)
            if self._is_too_high(point) or point.loss >= low.loss:
                low, high = sorted((low, point), key=lambda each: each.loss)
                continue
            if self._is_flat(point):
                return point
            if point.slope * (high.t - low.t) >= 0:
                high = low
            low = point
        return low


def between(one: Point, other: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two points, with their slopes, is least."""
    left, right = sorted((one, other), key=lambda point: point.t)
    least, most = bounds or (left.t, right.t)
    mean = (left.loss - right.loss) / (left.t - right.t) if left.t != right.t else math.nan
    first = left.slope + right.slope - 3 * mean
    square = first**2 - left.slope * right.slope
    if not square >= 0:
        return (least + most) / 2
    root = math.sqrt(square)
    share = (right.slope + root - first) / (right.slope - left.slope + 2 * root)
    return min(max(right.t - (right.t - left.t) * share, least), most)


def _inside(left: Point, right: Point, was_short: bool) -> tuple[float, bool]:
    """A length between both, not close to an end twice; and whether it is close to one."""
    t, margin = between(left, right), 0.1 * (right.t - left.t)
    if min(right.t - t, t - left.t) >= margin:
        return t, False
    if was_short or t >= right.t or t <= left.t:
        is_right = abs(t - right.t) < abs(t - left.t)
        return (right.t - margin if is_right else left.t + margin), False
    return t, True
