"""Parametrizations of weights that are in common use."""

from __future__ import annotations

from typing import Any, TypeVar

from numbanet.nn.functional import normalize
from numbanet.nn.module import Module
from numbanet.nn.utils.hooked import first_singular_vectors, move_singular_vectors
from numbanet.nn.utils.parametrize import register_parametrization
from numbanet.nn.utils.reparametrized import (
    check_iterations,
    directed,
    length,
    over_singular_value,
    singular_axis,
)

M = TypeVar("M", bound=Module)


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return directed(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        return length(weight, self.dim), weight


class _SpectralNorm(Module):
    _u: Any
    _v: Any

    def __init__(self, weight: Any, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        check_iterations(n_power_iterations)
        self.dim, self.eps = dim, eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            u, v = first_singular_vectors(weight, dim, 15, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        u, v = self._u, self._v
        if self.training:
            steps = self.n_power_iterations
            u, v = move_singular_vectors(weight, u, v, self.dim, steps, self.eps, "u")
        return over_singular_value(weight, u, v, self.dim)

    def right_inverse(self, value: Any) -> Any:
        return value


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Let a weight be a length times a direction, ``g * v / |v|`` (Salimans and Kingma, 2016).

    Parameters
    ----------
    module : Module
    name : str
    dim : int or None
        The axis along which lengths differ; None for one length.

    Returns
    -------
    Module
        The same module, with the parameters ``parametrizations.{name}.original0``, the lengths,
        and ``original1``.
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divide a weight by its first singular value (Miyato et al., 2018).

    Parameters
    ----------
    module : Module
    name : str
    n_power_iterations : int
        Steps of the power iteration each time that the weight is read in training.
    eps : float
        The least norm that vectors are divided by.
    dim : int, optional
        The axis of output channels: the second of transposed convolutions, else the first.

    Returns
    -------
    Module
        The same module, with the parameter ``parametrizations.{name}.original``.

    Raises
    ------
    ArgumentError
        If there is no step.
    """
    axis = singular_axis(module, dim)
    made = _SpectralNorm(getattr(module, name), n_power_iterations, axis, eps)
    return register_parametrization(module, name, made)
