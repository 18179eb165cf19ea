"""What programs keep in files: checkpoints, and all that they are made of."""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import numbanet as nb
from numbanet import nn, optim
from numbanet.errors import ArgumentError, DTypeError, FormatError
from numbanet.io import load_tensors, save_tensors

THINGS: dict[str, Any] = {
    "numbers": [1, 2.5, True, None, "text", float("inf"), -0.0],
    "empty": [{}, [], (), ""],
    "nested": {"a": [{"b": (1, [2])}], 3: {4: 5}, (1, "x"): None},
    "arrays": [np.arange(3), np.float32(2.5), np.zeros((0, 2))],
}


def same(found: Any, expected: Any) -> None:
    """The same kinds of things with the same numbers."""
    if isinstance(expected, nb.Tensor):
        assert type(found) is type(expected)
        assert found.requires_grad is expected.requires_grad
        found, expected = found.array(), expected.array()
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, each in expected.items():
            same(found[key], each)
    elif isinstance(expected, list | tuple):
        assert type(found) is (list if isinstance(expected, list) else tuple)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    else:
        assert found == expected
        assert type(found) is type(getattr(expected, "item", lambda: expected)())


def kept(thing: Any) -> Any:
    """``thing`` as it comes back from a file in memory."""
    file = io.BytesIO()
    nb.save(thing, file)
    file.seek(0)
    return nb.load(file, map_location="cpu", weights_only=True)


@pytest.mark.parametrize("name", THINGS)
def test_things_come_back_as_they_were(name: str) -> None:
    same(kept(THINGS[name]), THINGS[name])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 4)])
def test_tensors_come_back_bit_for_bit(dtype: str, shape: tuple[int, ...]) -> None:
    numbers = np.random.default_rng(0).integers(0, 2, shape)
    same(kept(nb.tensor(numbers.astype(dtype))), nb.tensor(numbers.astype(dtype)))


def test_parameters_results_and_shared_names() -> None:
    leaf: Any = nb.ones(3).requires_grad_()
    things = [
        nn.Parameter(np.ones(2, np.float32), requires_grad=False),
        leaf,
        (leaf * 2).detach(),
    ]
    same(kept(things), things)
    layer = nn.Conv2d(2, 3, 2)
    same(kept({"weight": layer.weight}), {"weight": layer.weight})
    same(
        kept({"a/b": nb.ones(1), "a": {"b": nb.zeros(1)}}),
        {"a/b": nb.ones(1), "a": {"b": nb.zeros(1)}},
    )


def test_a_state_dict_is_a_file_that_others_read(tmp_path: Path) -> None:
    model = nn.Sequential(OrderedDict(fc=nn.Linear(3, 2), norm=nn.BatchNorm1d(2)))
    path = tmp_path / "model.pth"
    nb.save(model.state_dict(), path)
    others = safetensors.numpy.load_file(path)
    assert set(others) == set(model.state_dict())
    again = nn.Sequential(OrderedDict(fc=nn.Linear(3, 2), norm=nn.BatchNorm1d(2)))
    assert str(again.load_state_dict(nb.load(path))) == "<All keys matched successfully>"
    same(dict(again.state_dict()), dict(model.state_dict()))
    assert set(load_tensors(path)) == set(model.state_dict())


def test_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    def make() -> tuple[Any, Any, Any]:
        nb.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = optim.Adam(model.parameters(), lr=0.1, amsgrad=True)
        return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 2)

    def train(model: Any, optimizer: Any, scheduler: Any) -> list[float]:
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        return losses

    x: Any = nb.tensor(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    running = make()
    train(*running)
    names = ("model", "optimizer", "scheduler")
    path = tmp_path / "checkpoint.tar"
    state = {name: each.state_dict() for name, each in zip(names, running, strict=True)}
    nb.save({"epoch": 3, "best": 0.5, **state}, path)
    expected = train(*running)
    nb.manual_seed(1)
    again, checkpoint = make(), nb.load(path)
    for name, each in zip(names, again, strict=True):
        each.load_state_dict(checkpoint[name])
    assert (checkpoint["epoch"], checkpoint["best"]) == (3, 0.5)
    assert train(*again) == expected


@pytest.mark.parametrize(
    "thing",
    [nn.Linear(2, 2), print, {1, 2}, nn.Linear, [lambda: 1], b"bytes", 1j],
    ids=lambda thing: type(thing).__name__,
)
def test_what_is_no_data_is_refused(thing: Any, tmp_path: Path) -> None:
    path = tmp_path / "thing.pt"
    with pytest.raises(ArgumentError, match="does not write this"):
        nb.save({"thing": thing}, path)
    assert not list(tmp_path.iterdir())


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="models only"):
        nb.save({}, tmp_path / "x", include_optimizer=True)
    with pytest.raises(NotImplementedError, match="map_location"):
        nb.load(tmp_path / "x", map_location={"cuda:0": "cpu"})
    with pytest.raises(DTypeError, match="complex64"):
        nb.save([np.zeros(2, np.complex64)], tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        nb.load(tmp_path / "x")


def test_models_are_written_as_models(tmp_path: Path) -> None:
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(2)])
    nb.save(model, tmp_path / "model.safetensors", include_optimizer=False)
    again = nb.load(tmp_path / "model.safetensors")
    assert isinstance(again, nb.Sequential)
    with pytest.raises(NotImplementedError, match="open"):
        nb.save(model, io.BytesIO())


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        json.dumps({"version": 2, "object": 1}),
        json.dumps({"version": 1, "object": {"tensor": "missing", "requires_grad": False}}),
        json.dumps({"version": 1, "object": {"odd": "x", "requires_grad": False}}),
        json.dumps({"version": 1, "object": {"tensor": "x"}}),
        json.dumps({"version": 1, "object": {"module": 0}}),
        json.dumps({"version": 1, "object": {"dict": [[[], 1]]}}),
        json.dumps({"version": 1, "object": {"class": "function", "config": "os>system"}}),
    ],
)
def test_files_that_somebody_else_made_up_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    save_tensors({"x": np.ones(2)}, path, {"numbanet.object": text})
    with pytest.raises(FormatError):
        nb.load(path)


def test_pickles_of_pytorch_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"x": torch.ones(2)}, tmp_path / "theirs.pt")
    with pytest.raises(FormatError, match="safetensors"):
        nb.load(tmp_path / "theirs.pt")
