"""How parameters get their first numbers. Keras's names and formulas.

Every initializer draws from one seeded NumPy generator (`set_seed`), unless it was given a seed
of its own, so that a script builds the same model each time it runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from numbanet.configuration import Configured
from numbanet.errors import ArgumentError

Fans = tuple[int, int]
"""Numbers of inputs and outputs that one element of a layer connects."""


Choice = TypeVar("Choice")


class _Source:
    """The generator that initializers, shuffles and dropout seeds share."""

    generator: np.random.Generator = np.random.default_rng(0)


def set_seed(seed: int) -> None:
    """Seed everything that numbanet draws on the host from now on.

    That is: initial weights, and the default seeds of shuffles and dropout. A process starts as
    if ``set_seed(0)`` had been called.
    """
    _Source.generator = np.random.default_rng(seed)


def shared_generator() -> np.random.Generator:
    """The generator that `set_seed` seeds."""
    return _Source.generator


def draw_seed() -> int:
    """A fresh seed from the shared generator, for a stream that lives elsewhere."""
    return int(_Source.generator.integers(2**31))


def fans_of(shape: tuple[int, ...]) -> Fans:
    """Fans, as Keras counts them, of a weight whose last two axes are its inputs and outputs.

    Axes before those are positions of a window, all of which are connected.
    """
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


class Initializer(Configured):
    """Base of initializers: ``initializer(shape)`` gives float64 numbers.

    Who calls may say that the fans are others than the shape's (`fans_of`).

    Subclasses implement ``draw(generator, shape, fans)``.
    """

    seed: int | None = None

    def __call__(self, shape: tuple[int, ...], fans: Fans | None = None) -> np.ndarray:
        own = self.seed is not None
        generator = np.random.default_rng(self.seed) if own else _Source.generator
        return self.draw(
            generator, tuple(shape), fans_of(tuple(shape)) if fans is None else fans
        )

    def draw(
        self, generator: np.random.Generator, shape: tuple[int, ...], fans: Fans
    ) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} does not implement draw()")


@dataclass(frozen=True)
class Constant(Initializer):
    """Every element is ``value``."""

    value: float = 0.0

    def draw(
        self, generator: np.random.Generator, shape: tuple[int, ...], fans: Fans
    ) -> np.ndarray:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Zeros(Constant):
    """Every element is 0."""


@dataclass(frozen=True)
class Ones(Constant):
    """Every element is 1."""

    value: float = 1.0


@dataclass(frozen=True)
class RandomNormal(Initializer):
    """Normal numbers."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def draw(
        self, generator: np.random.Generator, shape: tuple[int, ...], fans: Fans
    ) -> np.ndarray:
        return generator.normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class RandomUniform(Initializer):
    """Uniform numbers in [minval, maxval)."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def draw(
        self, generator: np.random.Generator, shape: tuple[int, ...], fans: Fans
    ) -> np.ndarray:
        return generator.uniform(self.minval, self.maxval, shape)


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal numbers, redrawn outside of two standard deviations."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def draw(
        self, generator: np.random.Generator, shape: tuple[int, ...], fans: Fans
    ) -> np.ndarray:
        return self.mean + self.stddev * _truncated(generator, shape)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """``gain`` times a matrix whose rows or columns, the fewer, are orthonormal.

    Of several axes the last counts columns, and the others rows together. (Saxe, McClelland and
    Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", 2014.)
    """

    gain: float = 1.0
    seed: int | None = None

    def draw(
        self, generator: np.random.Generator, shape: tuple[int, ...], fans: Fans
    ) -> np.ndarray:
        if len(shape) < 2:
            raise ArgumentError(
                "Orthogonal initializes matrices", got=str(shape), expected="2 or more axes"
            )
        sizes = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(generator.normal(size=(max(sizes), min(sizes))))
        # The signs that QR happens to choose would not be uniform over all rotations.
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q.T if sizes[0] < sizes[1] else q).reshape(shape)


@dataclass(frozen=True)
class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, and zeros beside it."""

    gain: float = 1.0

    def draw(
        self, generator: np.random.Generator, shape: tuple[int, ...], fans: Fans
    ) -> np.ndarray:
        if len(shape) != 2:
            raise ArgumentError(
                "Identity initializes matrices", got=str(shape), expected="2 axes"
            )
        return self.gain * np.eye(*shape)


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Numbers whose variance is ``scale / n``, ``n`` being a fan.

    Parameters
    ----------
    scale : float
    mode : {"fan_in", "fan_out", "fan_avg"}
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        A truncated normal is redrawn outside of two standard deviations, and widened so that
        its variance is right.
    seed : int, optional
        Draw from a generator of its own.
    input_axes, output_axes : tuple of int, optional
        The axes whose sizes multiply to the fans, both or neither.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: int | None = None
    input_axes: tuple[int, ...] | None = None
    output_axes: tuple[int, ...] | None = None

    def draw(
        self, generator: np.random.Generator, shape: tuple[int, ...], fans: Fans
    ) -> np.ndarray:
        if self.input_axes is not None and self.output_axes is not None:
            inputs, outputs = (
                math.prod(shape[axis] for axis in axes)
                for axes in (self.input_axes, self.output_axes)
            )
        else:
            inputs, outputs = fans
        counts = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}
        variance = self.scale / max(1.0, _choose("mode", self.mode, counts))
        deviation = math.sqrt(variance)
        draws = {
            "uniform": lambda: generator.uniform(-1.0, 1.0, shape) * math.sqrt(3 * variance),
            "untruncated_normal": lambda: generator.normal(0.0, deviation, shape),
            "truncated_normal": lambda: (
                _truncated(generator, shape) * (deviation / _TRUNCATED_DEVIATION)
            ),
        }
        return _choose("distribution", self.distribution, draws)()


_TRUNCATED_DEVIATION = 0.87962566103423978
"""Standard deviation of a unit normal cut off at two deviations."""


def _truncated(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    numbers = generator.normal(size=shape)
    outside = np.abs(numbers) > 2.0
    while outside.any():
        numbers[outside] = generator.normal(size=int(outside.sum()))
        outside = np.abs(numbers) > 2.0
    return numbers


def _choose(argument: str, name: str, choices: Mapping[str, Choice]) -> Choice:
    if name not in choices:
        raise ArgumentError(
            f"unknown {argument}", got=repr(name), expected=" or ".join(map(repr, choices))
        )
    return choices[name]


@dataclass(frozen=True)
class GlorotUniform(VarianceScaling):
    """Uniform, variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""

    mode: str = "fan_avg"
    distribution: str = "uniform"


@dataclass(frozen=True)
class GlorotNormal(VarianceScaling):
    """Truncated normal, variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""

    mode: str = "fan_avg"


@dataclass(frozen=True)
class HeUniform(VarianceScaling):
    """Uniform, variance 2 / fan_in (He et al., 2015)."""

    scale: float = 2.0
    distribution: str = "uniform"


@dataclass(frozen=True)
class HeNormal(VarianceScaling):
    """Truncated normal, variance 2 / fan_in (He et al., 2015)."""

    scale: float = 2.0


@dataclass(frozen=True)
class LecunNormal(VarianceScaling):
    """Truncated normal, variance 1 / fan_in (LeCun et al., 1998)."""


@dataclass(frozen=True)
class LecunUniform(VarianceScaling):
    """Uniform, variance 1 / fan_in (LeCun et al., 1998)."""

    distribution: str = "uniform"


InitializerLike = (
    str | type[Initializer] | Initializer | Callable[[tuple[int, ...], Fans], np.ndarray]
)

# Keras's short names.
constant, zeros, ones, identity, orthogonal = Constant, Zeros, Ones, Identity, Orthogonal
random_normal, random_uniform = RandomNormal, RandomUniform
truncated_normal, variance_scaling = TruncatedNormal, VarianceScaling
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform

_CLASSES: tuple[type[Initializer], ...] = (
    Zeros,
    Ones,
    Constant,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    Orthogonal,
    Identity,
)
_NAMES: dict[str, type[Initializer]] = {
    **{re.sub(r"(?<=[a-z])(?=[A-Z])", "_", each.__name__).lower(): each for each in _CLASSES},
    **{each.__name__: each for each in _CLASSES},
    "zero": Zeros,
    "one": Ones,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "OrthogonalInitializer": Orthogonal,
    "IdentityInitializer": Identity,
}


def get(identifier: InitializerLike) -> Callable[[tuple[int, ...], Fans], np.ndarray]:
    """The initializer of a name (``"he_normal"``, ``"HeNormal"``) or of a class.

    Any other callable is returned as it is: it is called with a shape and `Fans`.
    """
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    if identifier not in _NAMES:
        raise ArgumentError(
            "unknown initializer", got=repr(identifier), expected=", ".join(_NAMES)
        )
    return _NAMES[identifier]()
