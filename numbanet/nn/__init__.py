"""Modules with PyTorch's names."""

from numbanet.nn import init, utils
from numbanet.nn.containers import (
    ModuleDict,
    ModuleList,
    ParameterDict,
    ParameterList,
    Sequential,
)
from numbanet.nn.lazy import LazyModuleMixin
from numbanet.nn.module import Module
from numbanet.nn.parameter import Parameter, UninitializedParameter

__all__ = [
    "LazyModuleMixin",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "Sequential",
    "UninitializedParameter",
    "init",
    "utils",
]
