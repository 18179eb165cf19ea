"""Curves of a history, by what matplotlib was told to draw."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

from numbanet import History
from numbanet.errors import ArgumentError, MissingPackageError


@pytest.fixture
def history() -> History:
    found = History()
    for epoch in range(4):
        logs = {"loss": 1.0 / (epoch + 1), "accuracy": 0.2 * epoch, "matrix": np.eye(2)}
        if epoch % 2:
            logs |= {"val_loss": 2.0 / (epoch + 1)}
        found.append(epoch, logs)
    return found


@pytest.fixture(autouse=True)
def _no_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setitem(matplotlib.rcParams, "backend", "agg")


def test_curves(history: History) -> None:
    figure = history.plot()
    loss, accuracy = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    training, validation = (line.get_xydata() for line in loss.lines)
    np.testing.assert_allclose(training, [(1, 1), (2, 1 / 2), (3, 1 / 3), (4, 1 / 4)])
    np.testing.assert_allclose(validation, [(2, 1), (4, 1 / 2)])
    assert len(accuracy.lines) == 1
    importlib.import_module("matplotlib.pyplot").close(figure)


def test_chosen_curves(history: History) -> None:
    figure = history.plot(["accuracy"])
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy"]
    importlib.import_module("matplotlib.pyplot").close(figure)
    with pytest.raises(ArgumentError, match="no metric 'auc'"):
        history.plot(["auc"])
    with pytest.raises(ArgumentError, match="nothing to plot"):
        History().plot()


def test_without_matplotlib(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingPackageError, match=r"pip install numbanet\[plot\]"):
        history.plot()
