"""Peers compute the same thing: else their times could not be compared."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.models import ConvNet, Model, Perceptron, Transformer
from benchmarks.operations import Operation
from benchmarks.peers import PEERS
from benchmarks.session import Session, Task
from benchmarks.workloads import KINDS, WORKLOADS, Workload

SMALL: dict[str, Model] = {
    "perceptron": Perceptron((6, 5, 10)),
    "convnet": ConvNet(),
    "transformer": Transformer(layers=1, width=8, heads=2, tokens=3),
}
OPERATIONS = [
    Operation(kind, (3, 5), backward)
    for kind in ("softmax", "layer_norm", "cross_entropy")
    for backward in (False, True)
] + [Operation("matmul", (3, 4, 5))]


def opened(peer: str, workload: Workload) -> Session:
    for package in PEERS[peer].packages:
        pytest.importorskip(package)
    task = Task(workload, workload.weights(), workload.arrays(), "cpu", is_random=False)
    return PEERS[peer].opener(workload.kind)(task)


@pytest.mark.parametrize(
    ("kind", "model"), [*(("train", name) for name in SMALL), ("predict", "convnet")]
)
def test_models_agree_with_torch(kind: str, model: str) -> None:
    workload = Workload("small", "", "", kind, SMALL[model], batch=2, batches=2)
    ours, theirs = (opened(peer, workload) for peer in ("numbanet", "torch"))
    np.testing.assert_allclose(ours.check(3), theirs.check(3), rtol=1e-4)
    ours.run(3)  # an epoch over both batches, and one batch of the next


@pytest.mark.parametrize("model", ["perceptron", "transformer"])
def test_loops_agree_with_torch(model: str) -> None:
    workload = Workload("small", "", "", "train", SMALL[model], batch=2, batches=2)
    loop, theirs = (opened(peer, workload) for peer in ("numbanet.loop", "torch"))
    np.testing.assert_allclose(loop.check(3), theirs.check(3), rtol=1e-4)
    loop.run(3)


@pytest.mark.parametrize("peer", ["torch.loader", "torch.tensors"])
def test_epochs_agree_with_torch(peer: str) -> None:
    model = SMALL["perceptron"]
    workload = Workload("small", "", "", "epoch", model, batch=4, samples=10)
    ours, theirs = opened("numbanet", workload), opened(peer, workload)
    np.testing.assert_allclose(ours.check(2), theirs.check(2), rtol=1e-4)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_operations_agree_with_torch(operation: Operation) -> None:
    kind = "product" if operation.kind == "matmul" else "rows"
    workload = Workload("small", "", "", kind, operation)
    ours, theirs = (opened(peer, workload) for peer in ("numbanet", "torch"))
    np.testing.assert_allclose(ours.check(1), theirs.check(1), rtol=1e-4)


@pytest.mark.parametrize("peer", PEERS)
def test_peers_can_open_what_they_say(peer: str, monkeypatch) -> None:
    for name in {"KERAS_BACKEND"} & set(PEERS[peer].environment):
        monkeypatch.setenv(name, PEERS[peer].environment[name])
    for package in PEERS[peer].packages:
        pytest.importorskip(package)
    assert set(PEERS[peer].opens) <= set(KINDS)
    for kind, place in PEERS[peer].opens.items():
        if place:
            module, function = place.split(":")
            importlib.import_module(f"benchmarks.peers.{module}")
            assert callable(PEERS[peer].opener(kind)), function


def test_limits_of_a_device_are_measured_by_torch() -> None:
    limits = pytest.importorskip("benchmarks.peers.with_torch.limits", exc_type=ImportError)
    found = limits.measure("cpu", size=32, megabytes=1)
    assert min(found["flops"], found["bandwidth"]) > 0


def test_an_epoch_is_checked_on_a_few_batches_and_a_smaller_one() -> None:
    epoch = WORKLOADS["epoch-mlp"]
    assert epoch.of_few_samples().samples % epoch.batch
    assert epoch.quick() == replace(epoch, samples=6000)


def test_targets_are_of_peers_that_take_part() -> None:
    for workload in WORKLOADS.values():
        named = [peer for peer in workload.targets if peer in PEERS]
        assert all(workload.kind in PEERS[peer].opens for peer in named)
