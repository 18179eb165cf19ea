"""What is said of a layer's kernels and of a step's time; no number of seconds is tested."""

from __future__ import annotations

import ast
import json
import textwrap
from pathlib import Path

import numpy as np
import pytest

from numbanet import Input, Model, Sequential
from numbanet.errors import ArgumentError
from numbanet.kernels.kernel import Kernel
from numbanet.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten
from numbanet.plan.program import Launch
from numbanet.viz.explaining import source_of
from numbanet.viz.measuring import Peaks, peaks
from numbanet.viz.profiling import OUTSIDE
from tests.reference_device import ReferenceDevice

DRAW = np.random.default_rng(5)


def make(device: object = "cpu") -> Model:
    block = Sequential([BatchNormalization(), Flatten()], name="block")
    conv = Conv2D(3, 3, activation="relu", name="conv1")
    model = Sequential([Input((6, 6, 1)), conv, block, Dropout(0.5), Dense(4, name="head")])
    model.compile("adam", "mse", device=device)  # type: ignore[arg-type]
    return model


def state(model: Model) -> list[np.ndarray]:
    return [each.numpy() for each in model.trainer.everything().values()]


def test_a_layer_from_ops_to_kernels() -> None:
    model = make()
    model.fit(DRAW.random((10, 6, 6, 1)), DRAW.random((10, 4)), verbose=0)
    before = state(model)
    found = model.explain("conv1", batch_size=4)
    assert [node.op.name for node in found.recorded] == ["conv2d", "add", "relu"]
    assert "conv2d_weight_grad" in {node.op.name for node in found.passed}
    program = model.program(4)
    own = [i for i, launch in enumerate(program.launches) if launch.path == "conv1"]
    assert [each.number for each in found.launches] == own
    assert found.seconds is not None
    for each in found.launches:
        assert each.seconds is not None
        function = ast.parse(textwrap.dedent(each.source)).body[0]
        assert isinstance(function, ast.FunctionDef)
    for old, new in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(old, new)
    text = str(found)
    assert "conv2d(f32[4, 6, 6, 1], f32[3, 3, 3, 1]" in text
    assert "def kernel(" in text
    assert "&lt;" not in text
    assert found._repr_html_().startswith("<pre>conv1: ")
    model.fit(DRAW.random((10, 6, 6, 1)), DRAW.random((10, 4)), verbose=0)


def test_a_layer_without_measuring() -> None:
    found = make(ReferenceDevice()).explain("block", 4, is_measured=False)
    assert "batch_norm" in {node.op.name for node in found.recorded}
    assert found.launches
    assert found.seconds is None
    assert "us" not in str(found.launches[0]).split()
    with pytest.raises(NotImplementedError, match="does not time"):
        make(ReferenceDevice()).explain("block")


def test_what_cannot_be_explained() -> None:
    with pytest.raises(ArgumentError, match="no layer 'conv9'"):
        make().explain("conv9")
    with pytest.raises(ArgumentError, match="not compiled"):
        Sequential([Input((3,)), Dense(2, name="a")]).explain("a")


def test_a_kernel_without_source() -> None:
    kernel = Kernel("typed", _typed, ("x",), ())
    assert source_of(kernel) == "# tests.viz.test_explaining._typed('x',)"


def _typed(name: str) -> object:
    scope: dict[str, object] = {}
    exec(f"def {name}(): pass", scope)
    return scope[name]


def test_limits() -> None:
    kernel = Kernel("any", _typed, (), ())
    limits = Peaks(bytes_per_second=10.0, flops_per_second=100.0)
    moving = Launch(kernel, (), 1, "add", "", nbytes=5, flops=1)
    assert limits.share(moving, 1.0) == (0.5, "bandwidth")
    computing = Launch(kernel, (), 1, "matmul", "", nbytes=1, flops=80)
    assert limits.share(computing, 1.0) == (0.8, "arithmetic")
    assert limits.share(Launch(kernel, (), 1, "fill", "", 0, 0), 1.0) is None
    assert limits.share(moving, 0.0) is None


@pytest.mark.parametrize("has_data", [False, True])
def test_profiles(has_data: bool, tmp_path: Path) -> None:
    model = make()
    before = state(model)
    data = (DRAW.random((10, 6, 6, 1)), DRAW.random((10, 4))) if has_data else (None, None)
    found = model.profile(*data, batch_size=4, to_file=tmp_path / "step.json", repeats=2)
    assert len(found.seconds) == len(found.launches) == len(model.program(4).launches)
    assert set(found.layers) >= {"conv1", "head", OUTSIDE}
    assert sum(found.layers.values()) == pytest.approx(sum(found.seconds))
    for old, new in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(old, new)
    rows = str(found).splitlines()
    assert len(rows) == 2 + len(found.layers)
    assert rows[-1].split()[:2] == ["total", str(len(found.launches))]
    trace = json.loads((tmp_path / "step.json").read_text(encoding="utf-8"))
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    launches = [event for event in events if event["tid"] == 1]
    assert [event["args"]["layer"] for event in launches] == [e.path for e in found.launches]
    layers = [event for event in events if event["tid"] == 0]
    for event in launches:
        holders = [
            each["name"]
            for each in layers
            if each["ts"] - 1e-6 <= event["ts"]
            and event["ts"] + event["dur"] <= each["ts"] + each["dur"] + 1e-6
        ]
        assert event["cat"] in holders


def test_peaks_are_measured_once() -> None:
    device = make().trainer.device
    assert peaks(device) is peaks(device)
    assert min(peaks(device).bytes_per_second, peaks(device).flops_per_second) > 0
