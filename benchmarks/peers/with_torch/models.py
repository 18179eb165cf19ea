"""The models in PyTorch; parameters in the order of the workloads' weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks.models import Model, Weights
from benchmarks.peers.modules import builders


def build(model: Model, weights: Weights, dropout: float) -> nn.Module:
    """The model with these weights, in training mode."""
    made = builders(nn, functional)[type(model)](model, dropout)
    with torch.no_grad():
        for parameter, array in zip(made.parameters(), weights.values(), strict=True):
            parameter.copy_(torch.from_numpy(array))
    return made
