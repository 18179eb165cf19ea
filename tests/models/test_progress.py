"""What training shows."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from numbanet import Input, Sequential
from numbanet.layers import Dense
from tests.reference_device import ReferenceDevice


def fit(verbose: int | str) -> None:
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", "mse", device=ReferenceDevice())
    model.fit(np.ones((9, 3)), np.ones(9), batch_size=4, epochs=2, verbose=verbose)


@pytest.mark.parametrize("verbose", [2, "auto"])
def test_a_line_an_epoch_where_there_is_no_terminal(
    verbose: int | str, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Epoch 1/2 - ")
    assert "loss: " in lines[1]


def test_a_bar_counts_steps_and_shows_the_loss(capsys: pytest.CaptureFixture[str]) -> None:
    fit(1)
    found = capsys.readouterr()
    assert found.out == ""
    assert "Epoch 2/2" in found.err
    assert "3/3" in found.err
    assert "loss: " in found.err


def test_a_bar_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    notebook = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    fit("auto")
    assert "3/3" in capsys.readouterr().err
    notebook.get_ipython = lambda: None  # imported by a script
    fit("auto")
    assert "Epoch 2/2 - " in capsys.readouterr().out


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    fit(0)
    found = capsys.readouterr()
    assert found.out + found.err == ""
