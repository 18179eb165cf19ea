"""Weights from elsewhere: PyTorch's state dicts and modules, Keras's models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet import nn
from numbanet.configuration import reconfigure
from numbanet.errors import ArgumentError, FormatError
from numbanet.io.conversions import IGNORED, RULES, Rule, same
from numbanet.io.report import Report, Taken
from numbanet.io.tensors import as_array, load_tensors
from numbanet.io.weights import check, misfit, take
from numbanet.ir import Variable
from numbanet.layers.module import Module
from numbanet.layers.ownership import walk
from numbanet.models.model import Model

_UNDECLARED = "is not in a state dict: compare it with the model that was trained"


@dataclass(frozen=True)
class _Owner:
    """A module with weights of its own.

    Attributes
    ----------
    path : str
        Of the module.
    layer : str
        Path of the layer that PyTorch has one module for: a cell's is its recurrent layer's.
    kind : str
        Key of its rules.
    """

    path: str
    layer: str
    kind: str
    module: Module

    def rule(self, name: str) -> Rule | None:
        if isinstance(self.module, nn.Module):
            return Rule((name,), same)
        return RULES.get(self.kind, {}).get(name)


def from_torch(
    model: Module,
    source: Any,
    mapping: Mapping[str, str] | str | None = None,
    *,
    strict: bool = True,
) -> Report:
    """Take the weights of a PyTorch model.

    Parameters
    ----------
    model : Model or layer
        With its parameters built.
    source : state dict, path of a safetensors file, or PyTorch module
        A module also says its norms' epsilons and momenta, which a state dict does not hold;
        PyTorch's momentum is one minus Keras's. They are set on the layers.
    mapping : dict of str to str, or "order", optional
        PyTorch's paths (``"features.0"``) to those of layers (``"conv1"``); what is not in it
        has the same path in both. ``"order"`` pairs modules and layers that have weights one
        after the other.
    strict : bool
        Whether every tensor on both sides must meet. Shapes must meet in any case.

    Returns
    -------
    Report
        Each tensor with its source and what was done to it, and all that is left over.

    Raises
    ------
    FormatError
        If something does not meet; then nothing has changed.

    Examples
    --------
    >>> report = from_torch(model, torch_model.state_dict(), {"features.0": "conv1"})
    >>> print(report)
    """
    given = _state(source)
    prefixes = _prefixes(list(_owners(model)), given, mapping)
    report, numbers, used = Report(), {}, set()
    for owner, prefix in prefixes:
        for name, variable in owner.module.own_variables().items():
            target = f"{owner.path}/{name}" if owner.path else name
            rule = owner.rule(name)
            keys = tuple(_join(prefix, each) for each in rule.sources) if rule else ()
            if rule is None or not all(key in given for key in keys):
                report.missing.append(target)
                continue
            used.update(keys)
            array = _converted(rule, [given[key] for key in keys], variable)
            problem = "another shape in the file" if array is None else misfit(variable, array)
            if problem is not None:
                report.mismatched.append(f"{target} from {', '.join(keys)}: {problem}")
                continue
            numbers[target] = variable, array
            report.taken.append(Taken(target, " + ".join(keys), variable.shape, rule.text))
    for key in given:
        if key not in used:
            is_counter = key.rpartition(".")[2] == IGNORED
            (report.ignored if is_counter else report.unexpected).append(key)
    check(report, strict=strict)
    changes = _torch_settings(prefixes, source, report)
    for variable, array in numbers.values():
        variable.assign(array)
    _configure(model, changes)
    return report


def _owners(model: Module) -> Iterator[_Owner]:
    above: dict[str, Module] = {}
    for path, module in _modules(model):
        above[path] = module
        if not module.own_variables():
            continue
        layer, _, name = path.rpartition("/")
        kind, holder = type(module).__name__, type(above.get(layer)).__name__
        if name == "cell" and kind.endswith("Cell"):
            yield _Owner(path, layer, kind, module)
        elif holder == "MultiHeadAttention":
            yield _Owner(path, layer, f"{holder}.{name}", module)
        else:
            yield _Owner(path, path, kind, module)


def _state(source: Any) -> dict[str, np.ndarray]:
    if isinstance(source, str | os.PathLike):
        return load_tensors(source)
    found = source.state_dict() if hasattr(source, "state_dict") else source
    if not isinstance(found, Mapping):
        raise ArgumentError(
            "from_torch() takes a state dict, a path or a module", got=type(source).__name__
        )
    return {str(key): as_array(value, str(key)) for key, value in found.items()}


def _prefixes(
    owners: list[_Owner], given: Mapping[str, Any], mapping: Mapping[str, str] | str | None
) -> list[tuple[_Owner, str]]:
    """What the names of each owner's tensors begin with."""
    if mapping == "order":
        groups = list(dict.fromkeys(_group(key) for key in given))
        layers = list(dict.fromkeys(owner.layer for owner in owners))
        if len(groups) != len(layers):
            raise FormatError(
                "not as many modules with weights as layers",
                got=", ".join(groups),
                expected=", ".join(layers),
            )
        paired = dict(zip(layers, groups, strict=True))
        return [(owner, paired[owner.layer]) for owner in owners]
    if isinstance(mapping, str):
        raise ArgumentError("mapping is a dict, or 'order'", got=repr(mapping))
    wanted = {layer: prefix for prefix, layer in (mapping or {}).items()}
    layers = dict.fromkeys(owner.layer for owner in owners)
    unknown = set(wanted) - set(layers)
    if unknown:
        raise ArgumentError(
            "no layer with weights of this path",
            got=", ".join(sorted(unknown)),
            expected=", ".join(layers),
        )
    return [(o, wanted.get(o.layer, o.layer.replace("/", "."))) for o in owners]


def _group(key: str) -> str:
    """The module that a tensor belongs to; attention's projection belongs to attention."""
    return key.rpartition(".")[0].removesuffix(".out_proj")


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _converted(
    rule: Rule, arrays: Sequence[np.ndarray], variable: Variable
) -> np.ndarray | None:
    """The weight; None if the arrays are not of the form that the rule is for."""
    try:
        return rule.convert(*arrays, shape=variable.shape)
    except ValueError:
        return None


Changes = list[tuple[Module, dict[str, float]]]


def _torch_settings(
    prefixes: Sequence[tuple[_Owner, str]], source: Any, report: Report
) -> Changes:
    """Epsilons and momenta of norms, out of PyTorch's modules."""
    has_modules = hasattr(source, "named_modules")
    modules = dict(source.named_modules()) if has_modules else {}
    changes: Changes = []
    for owner, prefix in prefixes:
        if isinstance(owner.module, nn.Module) or not hasattr(owner.module, "epsilon"):
            continue
        other = modules.get(prefix)
        wanted = {} if other is None else _torch_numbers(other)
        changes.append((owner.module, _note(owner.path, owner.module, wanted, report)))
        if not has_modules:
            report.settings.append(
                f"{owner.path}: epsilon {_number(owner.module)} {_UNDECLARED}"
            )
    return changes


def _torch_numbers(module: Any) -> dict[str, float]:
    numbers = {"epsilon": module.eps} if getattr(module, "eps", None) is not None else {}
    if hasattr(module, "momentum"):
        if module.momentum is None:
            raise NotImplementedError("momentum=None: an average over all batches")
        numbers["momentum"] = 1 - module.momentum
    return numbers


def _number(module: Any) -> str:
    return f"{module.epsilon:g}"


def _note(
    path: str, module: Any, wanted: Mapping[str, float], report: Report
) -> dict[str, float]:
    """Those of ``wanted`` that the module has otherwise."""
    changed = {}
    for name, number in wanted.items():
        old = getattr(module, name, None)
        if old is not None and old != number:
            changed[name] = number
            report.settings.append(f"{path}: {name} {old:g} -> {number:g}")
    return changed


def _configure(model: Module, changes: Changes) -> None:
    for module, numbers in changes:
        reconfigure(module, **numbers)
    if isinstance(model, Model) and any(numbers for _, numbers in changes):
        model.forget_programs()


def from_keras(model: Module, source: Any, *, strict: bool = True) -> Report:
    """Take the weights of a Keras model of the same structure.

    Parameters
    ----------
    model : Model or layer
        With its parameters built.
    source : Keras model, list of arrays, or path of a safetensors file
        Of a model and of a list from its ``get_weights()`` weights are taken in order, which
        is the same here and there; of a file by path. A model also says its norms' epsilons
        and momenta, which are set on the layers.
    strict : bool
        Of a file: whether every tensor on both sides must meet.

    Returns
    -------
    Report

    Raises
    ------
    FormatError
        If something does not meet; then nothing has changed.
    """
    variables = model.variables()
    if isinstance(source, str | os.PathLike):
        return take(variables, load_tensors(source), strict=strict)
    is_list = isinstance(source, list | tuple)
    weights = list(source) if is_list else source.weights
    names = [f"[{i}]" if is_list else w.path for i, w in enumerate(weights)]
    report, arrays = Report(), []
    for (path, variable), name, weight in zip(variables.items(), names, weights, strict=False):
        # What Keras's variables hold converts without their warning.
        array = as_array(getattr(weight, "value", weight), name)
        arrays.append(array)
        problem = misfit(variable, array)
        if problem is None and not is_list and _last(name) != _last(path):
            problem = "another kind of weight"
        if problem is None:
            report.taken.append(Taken(path, name, variable.shape))
        else:
            report.mismatched.append(f"{path} from {name}: {problem}")
    report.missing = list(variables)[len(names) :]
    report.unexpected = names[len(variables) :]
    # In order, one that is left over makes all others doubtful.
    check(report, strict=True)
    changes = [] if is_list else _keras_settings(model, source, report)
    for variable, array in zip(variables.values(), arrays, strict=True):
        variable.assign(array)
    _configure(model, changes)
    return report


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _keras_settings(model: Module, source: Any, report: Report) -> Changes:
    """Epsilons and momenta, if the same layers have them here and there."""
    ours = [(path, module) for path, module in _modules(model) if hasattr(module, "epsilon")]
    theirs = [layer for layer in source._flatten_layers() if hasattr(layer, "epsilon")]
    kinds = [type(module).__name__ for _, module in ours]
    if kinds != [type(layer).__name__ for layer in theirs]:
        report.settings.append(
            "epsilons and momenta: other layers have them, none was compared"
        )
        return []
    changes: Changes = []
    for (path, module), layer in zip(ours, theirs, strict=True):
        wanted = {name: getattr(layer, name, None) for name in ("epsilon", "momentum")}
        known = {name: float(number) for name, number in wanted.items() if number is not None}
        changes.append((module, _note(path, module, known, report)))
    return changes


def _modules(model: Module) -> Iterator[tuple[str, Module]]:
    """All modules, shared ones once."""
    seen: set[Module] = set()
    for path, module in walk(model):
        if module not in seen:
            seen.add(module)
            yield path, module
