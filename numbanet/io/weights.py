"""Weights of models in files, by path."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from numbanet.errors import FormatError
from numbanet.io.atomic import PathLike
from numbanet.io.report import Report, Taken
from numbanet.io.tensors import load_tensors, save_tensors
from numbanet.ir import Variable
from numbanet.layers.module import Module

RESERVED = "@"
"""What the names of tensors begin with that are no weights."""


def weights_of(model: Module) -> dict[str, np.ndarray]:
    """Copies of all weights by path, in the form that `get_weights` shows."""
    return {path: variable.numpy() for path, variable in model.variables().items()}


def save_weights(model: Module, path: PathLike, *, overwrite: bool = True) -> None:
    """Write the weights of a model or layer by path; see `Model.save_weights`."""
    save_tensors(weights_of(model), path, overwrite=overwrite)


def load_weights(
    model: Module, path: PathLike, *, strict: bool = True, skip_mismatch: bool = False
) -> Report:
    """Take the weights of a file; see `Model.load_weights`."""
    tensors = load_tensors(path)
    weights = {name: array for name, array in tensors.items() if name[:1] != RESERVED}
    return take(model.variables(), weights, strict=strict, skip_mismatch=skip_mismatch)


def take(
    variables: Mapping[str, Variable],
    weights: Mapping[str, np.ndarray],
    *,
    strict: bool,
    skip_mismatch: bool = False,
) -> Report:
    """Put ``weights`` into the variables of the same paths, if everything fits."""
    report = Report()
    for path, variable in variables.items():
        if path not in weights:
            report.missing.append(path)
        elif (problem := misfit(variable, weights[path])) is not None:
            report.mismatched.append(f"{path}: {problem}")
        else:
            report.taken.append(Taken(path, path, variable.shape))
    report.unexpected = [path for path in weights if path not in variables]
    check(report, strict=strict, skip_mismatch=skip_mismatch)
    for each in report.taken:
        variables[each.target].assign(weights[each.source])
    return report


def misfit(variable: Variable, array: np.ndarray) -> str | None:
    """Why ``variable`` cannot take ``array``; None if it can."""
    if array.shape != variable.shape:
        return f"{array.shape} in the file, {variable.shape} in the model"
    dtype = variable.type.dtype.numpy
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        return f"{array.dtype} in the file, {dtype} in the model"
    return None


def check(report: Report, *, strict: bool, skip_mismatch: bool = False) -> None:
    """Raise FormatError unless everything met that had to."""
    problems = [] if skip_mismatch else list(report.mismatched)
    if strict:
        problems += [f"{name} is missing" for name in report.missing]
        problems += [f"{name} has no place in the model" for name in report.unexpected]
    if problems:
        raise FormatError("the weights do not fit the model", got="; ".join(problems))
