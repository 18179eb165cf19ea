"""Callbacks with Keras's names: what else happens while a model is trained."""

from numbanet.models.callbacks.base import Callback, CallbackList, LambdaCallback, Logs
from numbanet.models.callbacks.csv_logger import CSVLogger
from numbanet.models.callbacks.monitoring import (
    EarlyStopping,
    Monitor,
    ReduceLROnPlateau,
    TerminateOnNaN,
    Timer,
)
from numbanet.models.callbacks.rates import LearningRateFinder, LearningRateScheduler
from numbanet.models.callbacks.saving import BackupAndRestore, ModelCheckpoint
from numbanet.models.callbacks.tensorboard import TensorBoard
from numbanet.models.history import History

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateFinder",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "Monitor",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
    "Timer",
]
