"""Pictures of models, by what stands in the files."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from numbanet import Input, Model, Sequential, nn
from numbanet.errors import ArgumentError
from numbanet.layers import Dense
from numbanet.viz.diagram import LINE_SIZE, TITLE_SIZE
from numbanet.viz.layout import Box
from numbanet.viz.plotting import plot_model
from numbanet.viz.text import text_width
from tests.viz import drawn
from tests.viz.test_layout import holds, overlap, sampled

SVG = "{http://www.w3.org/2000/svg}"
NUMBER = re.compile(r"-?[\d.]+")


class Drawing:
    """An SVG file, parsed."""

    def __init__(self, text: str) -> None:
        self.boxes: dict[str, Box] = {}
        self.frames: dict[str, Box] = {}
        self.texts: dict[str, list[ElementTree.Element]] = {}
        self.arrows: list[tuple[str, str, list[tuple[float, float]]]] = []
        for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
            path = group.find(f"{SVG}path")
            if path is None:
                self._read_box(group)
            else:
                numbers = [float(each) for each in NUMBER.findall(path.attrib["d"])]
                points = list(zip(numbers[::2], numbers[1::2], strict=True))
                self.arrows.append((group.attrib["data-from"], group.attrib["data-to"], points))

    def _read_box(self, group: ElementTree.Element) -> None:
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        box = Box(*(float(rect.attrib[key]) for key in ("x", "y", "width", "height")))
        key = group.attrib["data-key"]
        assert key not in self.boxes
        assert key not in self.frames
        kind = rect.attrib["class"].split()[0]
        (self.frames if kind == "frame" else self.boxes)[key] = box
        self.texts[key] = group.findall(f"{SVG}text")

    @property
    def all(self) -> dict[str, Box]:
        return self.boxes | self.frames


def draw(model: Model, **options: bool | str) -> Drawing:
    shown = {"show_shapes": True, "show_layer_names": True, "expand_nested": True}
    return Drawing(plot_model(model, None, **{**shown, **options}).svg)  # type: ignore[arg-type]


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("make", drawn.MODELS, ids=lambda make: make.__name__)
def test_pictures(make: Callable[[], Model], rankdir: str) -> None:
    found = draw(make(), rankdir=rankdir)
    for a, b in combinations(found.boxes.values(), 2):
        assert not overlap(a, b)
    for key, box in found.all.items():
        for text in found.texts[key]:
            is_title = text.attrib["class"] == "title"
            size = TITLE_SIZE if is_title else LINE_SIZE
            half = text_width(text.text or "", size, is_bold=is_title) / 2
            x, y = float(text.attrib["x"]), float(text.attrib["y"])
            assert box.x <= x - half
            assert x + half <= box.x + box.width
            assert box.y <= y - 0.75 * size
            assert y + 0.25 * size <= box.y + box.height
    for source, target, points in found.arrows:
        for end, key in ((points[0], source), (points[-1], target)):
            assert holds(found.all[key], end, -0.02)
            assert not holds(found.all[key], end, 0.02)
        for point in sampled(points):
            assert not any(holds(box, point, 0.5) for box in found.boxes.values())


def test_every_layer_has_a_box() -> None:
    model = drawn.residual()
    names = {"input", *(layer.name for layer in model.layers)}
    assert set(draw(model).boxes) == names
    assert len(draw(model).arrows) == 30


def test_nested_models_are_frames() -> None:
    found = draw(drawn.nested())
    assert set(found.frames) == {"encoder", "head", "inner", "inner/head"}
    for key, box in found.all.items():
        holder = key.rpartition("/")[0]
        if holder:
            frame = found.frames[holder]
            assert holds(frame, (box.x, box.y), 0)
            assert holds(frame, (box.x + box.width, box.y + box.height), 0)
    assert not draw(drawn.nested(), expand_nested=False).frames


def test_shared_layers_are_drawn_once() -> None:
    found = draw(drawn.shared())
    ends = [(source, target) for source, target, _ in found.arrows]
    assert {("left", "tower"), ("right", "tower"), ("again", "again")} <= set(ends)
    lines = ["".join(text.itertext()) for text in found.texts["tower"]]
    assert lines == ["tower (Dense) \u00d72", "(None, 16) → (None, 16)"]


def test_containers_of_the_other_door_are_frames() -> None:
    inner = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), inner)
    found = draw(Sequential([Input((8,)), net, nn.Linear(3, 2)]))
    assert set(found.frames) == {"sequential", "sequential/2"}
    assert {"sequential/0", "sequential/1", "sequential/2/0", "sequential/2/1"} <= set(
        found.boxes
    )
    assert ("sequential/1", "sequential/2") in [(a, b) for a, b, _ in found.arrows]


def test_arrows_that_meet_at_a_box_have_ends_of_their_own() -> None:
    for make in drawn.MODELS:
        ends: dict[str, list[float]] = {}
        for _, target, points in draw(make()).arrows:
            ends.setdefault(target, []).append(points[-1][0])
        for places in ends.values():
            places.sort()
            assert all(b - a > 5 for a, b in pairwise(places))


def test_what_boxes_say() -> None:
    def lines(**options: bool) -> list[str]:
        shown = {"show_shapes": False, "show_layer_names": False, **options}
        return [text.text or "" for text in draw(drawn.chain(), **shown).texts["conv2d"]]

    assert lines() == ["Conv2D"]
    assert lines(show_layer_names=True) == ["conv2d (Conv2D)"]
    assert lines(show_shapes=True) == ["Conv2D", "(None, 8, 8, 1) → (None, 6, 6, 4)"]
    assert lines(show_dtype=True) == ["Conv2D", "float32"]
    assert lines(show_layer_activations=True) == ["Conv2D", "activation: relu"]
    assert lines(show_trainable=True) == ["Conv2D", "trainable"]


def test_files(tmp_path: Path) -> None:
    model = drawn.nested()
    for name in ("model.svg", "model.html", "model.dot"):
        picture = plot_model(model, tmp_path / name, expand_nested=True)
        assert (tmp_path / name).read_text(encoding="utf-8") == str(picture)
    page = (tmp_path / "model.html").read_text(encoding="utf-8")
    assert picture.svg in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    graph = (tmp_path / "model.dot").read_text(encoding="utf-8")
    assert graph.count("{") == graph.count("}") == 5
    assert '"first" -> "encoder/image" [lhead="cluster_encoder"];' in graph


def test_names_are_escaped() -> None:
    model = drawn.chain()
    renamed = Sequential({'<a & "b">': model}, name="<script>")
    with pytest.raises(ArgumentError, match="does not know its inputs"):
        plot_model(renamed, None)
    whole = Sequential([next(iter(drawn.chain().inputs)), *renamed], name="<script>")
    assert "<script>" not in plot_model(whole, None).svg


@pytest.mark.parametrize(
    ("options", "match"),
    [({"to_file": "model.png"}, "SVG, HTML and dot"), ({"rankdir": "XY"}, "unknown rankdir")],
)
def test_what_is_refused(options: dict[str, str], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        plot_model(drawn.chain(), **options)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="dpi"):
        plot_model(drawn.chain(), None, dpi=200)


def test_a_layer_of_the_user() -> None:
    class Residual(Dense):
        pass

    assert "mine" in draw(Sequential([drawn.chain().inputs[0], Residual(3, name="mine")])).boxes
