"""Models: what trains, evaluates and predicts."""

from numbanet.models.history import History
from numbanet.models.model import Model
from numbanet.models.sequential import Sequential

__all__ = ["History", "Model", "Sequential"]
