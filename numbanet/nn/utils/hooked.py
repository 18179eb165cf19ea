"""Weights that are computed before each call, by hooks: the older form."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from numbanet import initializers
from numbanet.errors import ArgumentError
from numbanet.nn.functional import normalize
from numbanet.nn.module import Module
from numbanet.nn.parameter import Parameter
from numbanet.nn.utils.reparametrized import (
    as_matrix,
    check_iterations,
    directed,
    length,
    over_singular_value,
    power_iteration,
    singular_axis,
)
from numbanet.tensors.modes import no_grad
from numbanet.tensors.tensor import Tensor

M = TypeVar("M", bound=Module)


class _Computed:
    """A hook that computes the attribute ``name`` of a module before its calls."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Any, args: Any) -> None:
        setattr(module, self.name, self.compute(module, module.training))

    def compute(self, module: Any, is_training: bool) -> Tensor:
        raise NotImplementedError


class _Directed(_Computed):
    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = dim

    def compute(self, module: Any, is_training: bool) -> Tensor:
        g, v = (getattr(module, f"{self.name}_{part}") for part in "gv")
        return directed(v, g, self.dim)


class _OverSingularValue(_Computed):
    def __init__(self, name: str, dim: int, steps: int, eps: float) -> None:
        super().__init__(name)
        self.dim, self.steps, self.eps = dim, steps, eps

    def compute(self, module: Any, is_training: bool) -> Tensor:
        weight = getattr(module, f"{self.name}_orig")
        u, v = (getattr(module, f"{self.name}_{part}") for part in "uv")
        if is_training:
            moved = move_singular_vectors(weight, u, v, self.dim, self.steps, self.eps, "v")
            return over_singular_value(weight, *moved, self.dim)
        return over_singular_value(weight, u, v, self.dim)


def move_singular_vectors(
    weight: Any, u: Any, v: Any, dim: int, steps: int, eps: float, first: str
) -> tuple[Any, Any]:
    """Take steps of the power iteration, and put what comes of it into ``u`` and ``v``."""
    with no_grad():
        moved = power_iteration(weight, u, v, dim, steps, eps, first)
        for old, new in zip((u, v), moved, strict=True):
            old.copy_(new)
    return moved


def first_singular_vectors(
    weight: Any, dim: int, steps: int, eps: float
) -> tuple[Tensor, Tensor]:
    """Random vectors ``[R]`` and ``[C]``, after some steps of the power iteration."""
    with no_grad():
        shape = as_matrix(weight, dim).shape
        u, v = (
            normalize(Tensor.wrap(_normal(size, weight.dtype.numpy)), dim=0, eps=eps)
            for size in shape
        )
        u, v = power_iteration(weight, u, v, dim, steps, eps, "u") if steps else (u, v)
        return Tensor.wrap(u.array().copy()), Tensor.wrap(v.array().copy())


def _normal(size: int, dtype: Any) -> np.ndarray:
    return initializers.shared_generator().normal(size=size).astype(dtype)


def _install(module: Any, hook: _Computed) -> None:
    # What the module has until its first call.
    setattr(module, hook.name, hook.compute(module, False).detach())
    module.register_forward_pre_hook(hook)


def _remove(module: Any, kind: type[_Computed], name: str) -> Tensor:
    """Take a hook away; the weight that it computes now."""
    for key, hook in list(module._forward_pre_hooks.items()):
        found = hook.function
        if isinstance(found, kind) and found.name == name:
            with no_grad():
                weight = found.compute(module, False)
            # As attributes do: what is remembered of the module is forgotten.
            delattr(module, name)
            del module._forward_pre_hooks[key]
            return weight
    raise ArgumentError(f"{name!r} of {type(module).__name__} is not computed in this way")


def _check_free(module: Any, kind: type[_Computed], name: str) -> None:
    hooks = [hook.function for hook in module._forward_pre_hooks.values()]
    if any(isinstance(hook, kind) and hook.name == name for hook in hooks):
        raise ArgumentError(
            f"{name!r} of {type(module).__name__} is computed in this way already"
        )


def _taken(module: Any, name: str) -> Parameter:
    """The parameter called ``name``, which is the module's no more."""
    parameter = module._parameters[name]
    del module._parameters[name]
    return parameter


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Let a weight be a length times a direction: ``g * v / |v|``.

    (Salimans and Kingma, "Weight Normalization", 2016.) The module has the parameters
    ``{name}_g`` and ``{name}_v`` in the place of ``name``, which is computed before each call.

    Parameters
    ----------
    module : Module
    name : str
    dim : int or None
        The axis along which lengths differ; None for one length.

    Returns
    -------
    Module
        The same module.

    Raises
    ------
    ArgumentError
        If that was done already.
    """
    _check_free(module, _Directed, name)
    weight = _taken(module, name)
    with no_grad():
        g = length(weight, dim)
    module.register_parameter(f"{name}_g", Parameter(g))
    module.register_parameter(f"{name}_v", weight)
    _install(module, _Directed(name, dim))
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Undo `weight_norm`: the weight is a parameter again, with the numbers that it has."""
    weight = _remove(module, _Directed, name)
    _taken(module, f"{name}_g")
    layout = _taken(module, f"{name}_v").layout
    module.register_parameter(name, Parameter(weight, layout=layout))
    return module


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divide a weight by its first singular value, estimated anew before each call in training.

    (Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018.) The
    module has the parameter ``{name}_orig`` and the buffers ``{name}_u`` and ``{name}_v``.

    Parameters
    ----------
    module : Module
    name : str
    n_power_iterations : int
        Steps of the power iteration before each call.
    eps : float
        The least norm that vectors are divided by.
    dim : int, optional
        The axis of output channels: the second of transposed convolutions, else the first.

    Returns
    -------
    Module
        The same module.

    Raises
    ------
    ArgumentError
        If that was done already, or there is no step.
    """
    _check_free(module, _OverSingularValue, name)
    check_iterations(n_power_iterations)
    axis = singular_axis(module, dim)
    weight = _taken(module, name)
    u, v = first_singular_vectors(weight, axis, 0, eps)
    module.register_parameter(f"{name}_orig", weight)
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    _install(module, _OverSingularValue(name, axis, n_power_iterations, eps))
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Undo `spectral_norm`: the weight is a parameter again, with the numbers that it has."""
    weight = _remove(module, _OverSingularValue, name)
    layout = _taken(module, f"{name}_orig").layout
    for part in "uv":
        delattr(module, f"{name}_{part}")
    module.register_parameter(name, Parameter(weight, layout=layout))
    return module
