"""Models: what trains, evaluates and predicts."""

from numbanet.models import callbacks
from numbanet.models.callbacks import Callback, LearningRateScheduler
from numbanet.models.cloning import clone_model
from numbanet.models.files import load_model, model_from_json, save_model
from numbanet.models.history import History
from numbanet.models.model import Model
from numbanet.models.sequential import Sequential

__all__ = [
    "Callback",
    "History",
    "LearningRateScheduler",
    "Model",
    "Sequential",
    "callbacks",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
