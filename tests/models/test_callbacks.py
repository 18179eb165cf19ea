"""Callbacks: what they do to training, what they write, and what they cost."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numbanet import Input, Sequential, callbacks, set_seed
from numbanet.errors import ArgumentError, FormatError
from numbanet.ir import Variable
from numbanet.layers import Dense, Dropout
from numbanet.models.callbacks import Callback, CallbackList, Logs
from numbanet.optimizers import SGD, Adam
from tests.reference_device import ReferenceDevice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 3)).astype(np.float32)
Y = RNG.normal(size=(9, 1)).astype(np.float32)
DEVICE = ReferenceDevice()


def linear(rate: float = 0.1, **options: Any) -> Sequential:
    model = Sequential([Input((3,)), Dense(1, kernel_initializer="ones")])
    model.compile(SGD(rate), "mse", device=DEVICE, **options)
    return model


class Feed(Callback):
    """Puts numbers of one's own into the logs."""

    def __init__(self, name: str, numbers: list[float]) -> None:
        self.name, self.numbers = name, numbers

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        logs[self.name] = self.numbers[epoch]


def fit(model: Sequential, given: list[Callback], epochs: int = 6, **options: Any) -> Any:
    return model.fit(X, Y, 3, epochs=epochs, verbose=0, seed=1, callbacks=given, **options)


# Hooks.


class Recorder(Callback):
    def __init__(self) -> None:
        self.seen: list[str] = []


def _hook(name: str) -> Any:
    def hook(self: Recorder, *args: Any) -> None:
        self.seen.append(name)

    return hook


HOOKS = [name for name in vars(Callback) if name.startswith("on_")]
for _name in HOOKS:
    setattr(Recorder, _name, _hook(_name))


def test_every_hook_is_called_in_its_place() -> None:
    model, recorder = linear(), Recorder()
    model.fit(X, Y, 5, verbose=0, callbacks=recorder, validation_data=(X[:2], Y[:2]))
    step = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    around = ["on_train_begin", "on_epoch_begin"], ["on_epoch_end", "on_train_end"]
    assert recorder.seen == [*around[0], *step, *step, *test, *around[1]]
    recorder.seen.clear()
    model.predict(X, callbacks=[recorder])
    model.evaluate(X, Y, callbacks=[recorder])
    predict = [f"on_predict_{part}" for part in ("begin", "batch_begin", "batch_end", "end")]
    assert recorder.seen == [*predict, *test]


def test_batches_have_the_logs_so_far_and_nothing_is_read_unless_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Looks(Callback):
        looks = True

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            reads.append(0)
            if self.looks:
                losses.append(logs["loss"])
            self.last = logs

    reads: list[int] = []
    losses: list[float] = []
    read = Variable.numpy

    def counted(self: Variable) -> np.ndarray:
        if reads and self.name.startswith("total"):
            reads[-1] += 1
        return read(self)

    monkeypatch.setattr(Variable, "numpy", counted)
    looker = Looks()
    history = fit(linear(), [looker], epochs=1)
    assert losses[-1] == history.history["loss"][0]
    assert reads == [1, 1, 2]  # and once for the epoch
    looker.looks = False
    reads.clear()
    fit(linear(), [looker], epochs=1)
    assert reads == [0, 0, 1]
    with pytest.raises(ArgumentError, match="gone with the next"):
        dict(looker.last)


def test_epochs_run_in_one_piece_without_hooks_for_batches() -> None:
    checkpoint = callbacks.ModelCheckpoint("x", save_weights_only=True)
    quiet = [callbacks.EarlyStopping(), callbacks.CSVLogger("x"), callbacks.TensorBoard()]
    assert not CallbackList([*quiet, checkpoint]).wants_batches("train")
    for loud in (
        callbacks.TerminateOnNaN(),
        callbacks.ModelCheckpoint("x", save_freq=5),
        callbacks.TensorBoard(update_freq="batch"),
        callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
    ):
        assert CallbackList(loud).wants_batches("train")
        assert not CallbackList(loud).wants_batches("test")


def test_lambda_callback() -> None:
    seen: list[Any] = []
    hooks = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((epoch, list(logs))),
        on_train_batch_begin=lambda batch, logs: seen.append(batch),
    )
    fit(linear(), [hooks], epochs=1)
    assert seen == [0, 1, 2, (0, ["loss"])]
    with pytest.raises(ArgumentError, match="no hook 'on_step'"):
        callbacks.LambdaCallback(on_step=print)


def test_logs_are_a_mapping() -> None:
    logs = Logs(lambda: {"loss": 1.0})
    assert dict(logs) == {"loss": 1.0}
    assert len(logs) == 1


# Early stopping and rates.


def test_early_stopping_waits_and_restores_the_best() -> None:
    model = linear()
    kept: dict[int, list[np.ndarray]] = {}
    keep = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.update({epoch: model.get_weights()})
    )
    stopping = callbacks.EarlyStopping("mine", patience=2, restore_best_weights=True)
    history = fit(model, [Feed("mine", [3, 1, 2, 1, 9, 9]), keep, stopping])
    assert history.epoch == [0, 1, 2, 3]
    assert (stopping.best_epoch, stopping.stopped_epoch, stopping.best) == (1, 3, 1)
    np.testing.assert_array_equal(model.get_weights()[0], kept[1][0])


@pytest.mark.parametrize(
    ("options", "numbers", "epochs"),
    [
        ({"patience": 2}, [3, 2, 1, 1, 1, 1], 5),
        ({"patience": 1, "min_delta": 0.5}, [3, 2, 1.9, 1.8, 1, 0], 3),
        ({"patience": 2, "mode": "max"}, [1, 2, 3, 3, 3, 9], 5),
        ({"patience": 2, "baseline": 0.5}, [3, 2, 1, 1, 0.3, 0.2], 4),
        ({"patience": 2, "baseline": 0.5}, [3, 2, 1, 0.4, 0.3, 0.2], 6),
        ({"patience": 1, "start_from_epoch": 3}, [1, 2, 3, 4, 5, 6], 5),
        ({"patience": 1}, [np.nan] * 6, 2),
    ],
)
def test_early_stopping(options: dict[str, Any], numbers: list[float], epochs: int) -> None:
    stopping = callbacks.EarlyStopping("mine", **options)
    assert len(fit(linear(), [Feed("mine", numbers), stopping]).epoch) == epochs


def test_what_is_not_in_the_logs_is_told() -> None:
    with pytest.warns(UserWarning, match="watches 'val_loss', and the logs have loss"):
        fit(linear(), [callbacks.EarlyStopping()], epochs=1)


def test_the_name_tells_what_is_better() -> None:
    modes = {"val_accuracy": "max", "auc": "max", "val_loss": "min", "mae": "min"}
    for name, mode in modes.items():
        assert callbacks.EarlyStopping(name).mode == mode


def test_reduce_on_plateau() -> None:
    numbers = [1, 1, 1, 1, 1, 1]
    plateau = callbacks.ReduceLROnPlateau("mine", 0.5, patience=2, cooldown=1, min_lr=0.03)
    history = fit(linear(0.08), [Feed("mine", numbers), plateau])
    rates = history.history["learning_rate"]
    np.testing.assert_allclose(rates, [0.08, 0.08, 0.08, 0.04, 0.04, 0.03])


def test_schedule_of_the_epoch_alone() -> None:
    schedule = callbacks.LearningRateScheduler(lambda epoch: 1 / (epoch + 1))
    assert fit(linear(), [schedule], epochs=3).history["learning_rate"] == [1, 1 / 2, 1 / 3]


def test_terminate_on_nan() -> None:
    model = linear(1e20)
    history = fit(model, [callbacks.TerminateOnNaN()])
    assert len(history.epoch) <= 2
    assert not np.isfinite(history.history["loss"][-1])
    with pytest.raises(RuntimeError, match="Batch 0: the loss is"):
        fit(model, [callbacks.TerminateOnNaN(raise_error=True)])


def test_timer() -> None:
    timer = callbacks.Timer()
    fit(linear(), [timer], epochs=3)
    assert len(timer.times) == 3
    assert timer.total == sum(timer.times) > 0
    assert len(fit(linear(), [callbacks.Timer(limit=0.0)]).epoch) == 1


def test_learning_rate_finder_leaves_no_trace() -> None:
    model = linear(0.05)
    before, steps = model.get_weights(), model.optimizer.iterations.numpy()
    finder = callbacks.LearningRateFinder(1e-5, 100.0, steps=30)
    model.fit(X, Y, 9, epochs=40, verbose=0, callbacks=finder)  # one batch: no noise
    assert finder.rates[0] == pytest.approx(1e-5)
    assert finder.rates == sorted(finder.rates)
    assert len(finder.losses) < 30, "the loss runs away before the last rate"
    assert 1e-4 < finder.suggestion < 10
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert model.optimizer.learning_rate == 0.05
    assert model.optimizer.iterations.numpy() == steps


# Files.


def test_checkpoints_of_the_best_epochs(tmp_path: Path) -> None:
    model = linear()
    path = tmp_path / "deep" / "{epoch:02d}-{mine:.1f}.safetensors"
    checkpoint = callbacks.ModelCheckpoint(
        path, "mine", save_best_only=True, save_weights_only=True, mode="min"
    )
    fit(model, [Feed("mine", [np.nan, 3, 2, 4, 1, 1]), checkpoint])
    names = sorted(each.name for each in path.parent.iterdir())
    assert names == ["02-3.0.safetensors", "03-2.0.safetensors", "05-1.0.safetensors"]
    other = linear()
    fit(other, [], epochs=5)
    model.load_weights(path.parent / names[-1])
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])


def test_checkpoints_by_steps(tmp_path: Path) -> None:
    path = tmp_path / "{epoch}.safetensors"
    checkpoint = callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq=4)
    fit(linear(), [checkpoint], epochs=3)  # three steps an epoch: at 4 and 8
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "2.safetensors",
        "3.safetensors",
    ]
    with pytest.raises(ArgumentError, match="save_freq"):
        callbacks.ModelCheckpoint(path, save_freq=0)
    with pytest.raises(ArgumentError, match="files are safetensors"):
        callbacks.ModelCheckpoint("best.keras")
    with pytest.raises(ArgumentError, match="got nope, expected epoch, loss"):
        fit(linear(), [callbacks.ModelCheckpoint("{nope}", save_weights_only=True)], epochs=1)


def random_model() -> Sequential:
    set_seed(7)
    model = Sequential([Input((3,)), Dense(4), Dropout(0.5), Dense(1)])
    model.compile(Adam(0.05), "mse", device=DEVICE)
    return model


def test_a_backup_takes_up_training_where_it_broke(tmp_path: Path) -> None:
    def crash(epoch: int, logs: Any) -> None:
        if epoch == 2:
            raise RuntimeError("power failure")

    whole = random_model()
    whole.fit(X, Y, 4, epochs=4, verbose=0, seed=11)
    broken = random_model()
    backup = callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)
    with pytest.raises(RuntimeError, match="power failure"):
        broken.fit(
            X,
            Y,
            4,
            epochs=4,
            verbose=0,
            seed=11,
            callbacks=[backup, callbacks.LambdaCallback(on_epoch_begin=crash)],
        )
    assert len(list(tmp_path.iterdir())) == 2
    again = random_model()
    history = again.fit(
        X, Y, 4, epochs=4, verbose=0, callbacks=callbacks.BackupAndRestore(tmp_path)
    )
    assert history.epoch == [2, 3]
    for a, b in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not list(tmp_path.iterdir())


def test_a_backup_of_another_model(tmp_path: Path) -> None:
    keep = callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    fit(linear(), [keep], epochs=1)
    with pytest.raises(FormatError, match="of another model"):
        random_model().fit(X, Y, verbose=0, callbacks=keep)
    keep.path.write_bytes(b"nothing")
    with pytest.raises(FormatError, match="not a safetensors file"):
        fit(linear(), [keep], epochs=1)
    linear().save_weights(keep.path)
    with pytest.raises(FormatError, match="no backup"):
        fit(linear(), [keep], epochs=1)


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fit(linear(), [callbacks.CSVLogger(path)], epochs=2)
    history = fit(linear(), [callbacks.CSVLogger(path, append=True)], epochs=3, initial_epoch=2)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert float(rows[2]["loss"]) == history.history["loss"][0]


def test_tensorboard_files_are_read_by_its_own_reader(tmp_path: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", exc_type=ImportError
    )
    model = linear(metrics=["mae"])
    board = callbacks.TensorBoard(
        tmp_path, histogram_freq=1, update_freq=2, write_steps_per_second=True
    )
    history = fit(model, [board], epochs=2, validation_data=(X, Y)).history

    def load(kind: str) -> Any:
        found = reader.EventAccumulator(str(tmp_path / kind))
        found.Reload()
        return found

    train, test = load("train"), load("validation")
    for events, tag, numbers in (
        (train, "epoch_loss", history["loss"]),
        (train, "epoch_mae", history["mae"]),
        (test, "epoch_loss", history["val_loss"]),
        (test, "evaluation_loss_vs_iterations", history["val_loss"]),
    ):
        found = events.Scalars(tag)
        np.testing.assert_allclose([each.value for each in found], numbers, rtol=1e-6)
    assert [each.step for each in train.Scalars("epoch_loss")] == [0, 1]
    assert [each.step for each in train.Scalars("batch_loss")] == [2, 4, 6]
    assert [each.step for each in test.Scalars("evaluation_mae_vs_iterations")] == [3, 6]
    assert train.Scalars("epoch_steps_per_second")[0].value > 0
    last = train.Histograms("dense/kernel")[-1].histogram_value
    kernel = model.get_weights()[0]
    assert last.num == kernel.size
    assert last.sum == pytest.approx(kernel.sum(), rel=1e-6)
    assert sum(last.bucket) == kernel.size
    nodes = {node.name: node for node in train.Graph().node}
    assert any(name.startswith("dense/matmul") for name in nodes)
    assert all(source in nodes for node in nodes.values() for source in node.input)


@pytest.mark.parametrize("name", ["write_images", "profile_batch", "embeddings_freq"])
def test_tensorboard_refuses_what_it_does_not_write(name: str) -> None:
    with pytest.raises(NotImplementedError, match=name):
        callbacks.TensorBoard(**{name: 1})
