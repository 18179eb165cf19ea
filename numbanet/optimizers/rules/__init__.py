"""Optimizer rules, written once for every door."""

from numbanet.optimizers.rules.descent import ASGDRule, LionRule, RpropRule, SGDRule
from numbanet.optimizers.rules.moments import AdamaxRule, AdamRule, NAdamRule, RAdamRule
from numbanet.optimizers.rules.muon import MuonRule
from numbanet.optimizers.rules.rule import Hyper, Number, Rule, Slot, Slots
from numbanet.optimizers.rules.squares import AdadeltaRule, AdagradRule, RMSpropRule

__all__ = [
    "ASGDRule",
    "AdadeltaRule",
    "AdagradRule",
    "AdamRule",
    "AdamaxRule",
    "Hyper",
    "LionRule",
    "MuonRule",
    "NAdamRule",
    "Number",
    "RAdamRule",
    "RMSpropRule",
    "RpropRule",
    "Rule",
    "SGDRule",
    "Slot",
    "Slots",
]
