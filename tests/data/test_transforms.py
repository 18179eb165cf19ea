"""Transforms, beside PyTorch's interpolation and sampling, Pillow, colorsys and formulas."""

from __future__ import annotations

import colorsys
import math
from typing import Any

import numpy as np
import pytest

from numbanet import set_seed
from numbanet.data import TensorDataset, transforms
from numbanet.data.transforms import functional as F  # noqa: N812
from numbanet.data.transforms.image import channels_first
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.tensors.tensor import Tensor

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")


def bytes_of(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def floats_of(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).random(shape).astype(dtype)


def tensor(array: np.ndarray) -> Tensor:
    return Tensor.wrap(array)


GEOMETRY = {
    "crop": lambda img: F.crop(img, 1, 2, 4, 3),
    "crop outside": lambda img: F.crop(img, -2, 3, 6, 9),
    "hflip": F.hflip,
    "vflip": F.vflip,
    "pad": lambda img: F.pad(img, (1, 2, 3, 0), 7),
    "pad reflect": lambda img: F.pad(img, 2, padding_mode="reflect"),
    "center crop": lambda img: F.center_crop(img, (4, 9)),
    "resize": lambda img: F.resize(img, (4, 11)),
    "resize nearest": lambda img: F.resize(img, 9, "nearest"),
    "rotate": lambda img: F.rotate(img, 30, fill=9),
    "rotate expand": lambda img: F.rotate(img, -75, "bilinear", expand=True),
    "brightness": lambda img: F.adjust_brightness(img, 1.3),
    "contrast": lambda img: F.adjust_contrast(img, 0.4),
    "saturation": lambda img: F.adjust_saturation(img, 2.0),
    "hue": lambda img: F.adjust_hue(img, 0.2),
    "gray": lambda img: F.rgb_to_grayscale(img, 3),
}


@pytest.mark.parametrize("name", GEOMETRY)
def test_all_kinds_of_images_give_the_same(name: str) -> None:
    change, array = GEOMETRY[name], bytes_of(6, 7, 3)
    before = array.copy()
    ours = change(array)
    assert isinstance(ours, np.ndarray)
    assert (ours.dtype, ours.ndim, ours.flags.c_contiguous) == (np.uint8, 3, True)
    picture = change(Image.fromarray(array))
    assert isinstance(picture, Image.Image)
    assert picture.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(picture), ours)
    first = tensor(np.ascontiguousarray(np.moveaxis(array, -1, 0)))
    batched = change(tensor(np.stack([first.numpy()] * 2)))
    for result in (change(first).numpy(), *batched.numpy()):
        np.testing.assert_array_equal(np.moveaxis(result, 0, -1), ours)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("name", sorted(GEOMETRY.keys() - {"gray"}))
def test_images_of_one_channel(name: str) -> None:
    change, array = GEOMETRY[name], bytes_of(6, 7)
    flat = change(array)
    assert flat.ndim == 2
    np.testing.assert_array_equal(change(array[..., None])[..., 0], flat)
    np.testing.assert_array_equal(change(tensor(array)).numpy(), flat)
    picture = change(Image.fromarray(array))
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture), flat)


# ToTensor, Normalize, ConvertImageDtype.


def test_to_tensor() -> None:
    array = bytes_of(4, 5, 3)
    for image in (array, Image.fromarray(array)):
        result = transforms.ToTensor()(image)
        assert isinstance(result, Tensor)
        assert (tuple(result.shape), result.dtype.value) == ((3, 4, 5), "float32")
        assert result.array().flags.c_contiguous
        expected = array.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(result.numpy(), expected)
    assert tuple(transforms.ToTensor()(array[..., 0]).shape) == (1, 4, 5)
    assert tuple(transforms.ToTensor()(Image.fromarray(array[..., 0])).shape) == (1, 4, 5)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
def test_to_tensor_scales_bytes_only(dtype: str) -> None:
    array = (floats_of(3, 4) * 9).astype(dtype)
    result = transforms.ToTensor()(array)
    assert result.dtype.value == dtype
    np.testing.assert_array_equal(result.numpy()[0], array)
    assert not np.shares_memory(result.array(), array)


def test_normalize() -> None:
    array = floats_of(3, 4, 5)
    mean, std = [0.5, 0.4, 0.3], [0.1, 0.2, 0.5]
    shift, scale = (np.array(each, np.float32)[:, None, None] for each in (mean, std))
    result = transforms.Normalize(mean, std)(tensor(array))
    np.testing.assert_allclose(result.numpy(), (array - shift) / scale, rtol=1e-6)
    one = transforms.Normalize([0.5], [0.5])(tensor(array)).numpy()
    np.testing.assert_allclose(one, array * 2 - 1, atol=1e-6)
    lasting = np.ascontiguousarray(np.moveaxis(array, 0, -1))
    returned = transforms.Normalize(mean, std, inplace=True)(lasting)
    assert returned is lasting
    np.testing.assert_allclose(lasting, np.moveaxis(result.numpy(), 0, -1), rtol=1e-6)


def test_normalize_in_place_changes_the_tensor_but_not_the_data() -> None:
    dataset = TensorDataset(np.ones((2, 1, 3, 3), np.float32))
    (sample,) = dataset[0]
    assert F.normalize(sample, [0.5], [0.25], inplace=True) is sample
    assert sample.numpy().tolist() == np.full((1, 3, 3), 2.0).tolist()
    assert dataset[0][0].numpy().max() == 1.0


@pytest.mark.parametrize(
    ("image", "mean", "std", "inplace", "error"),
    [
        (bytes_of(3, 3), [0.5], [0.5], False, DTypeError),
        (floats_of(3, 3), [0.5], [0.0], False, ArgumentError),
        (floats_of(3, 3, 3), [0.5, 0.5], [1.0], False, ShapeError),
    ],
)
def test_normalize_refuses(image: Any, mean: Any, std: Any, inplace: bool, error: Any) -> None:
    with pytest.raises(error):
        F.normalize(image, mean, std, inplace)


@pytest.mark.parametrize(
    ("numbers", "dtype", "expected"),
    [
        (np.array([[0, 128, 255]], np.uint8), "float32", [[0, 128 / 255, 1]]),
        (np.array([[0, 0.5, 1]], np.float32), "uint8", [[0, 127, 255]]),
        (np.array([[0, 1 / 255, 1]], np.float64), "int32", [[0, 2**31 // 255, 2**31 - 1]]),
        (np.array([[0, 1, 255]], np.uint8), "int32", [[0, 2**23, 255 * 2**23]]),
        (np.array([[0, 2**23, 2**31 - 1]], np.int32), "uint8", [[0, 1, 255]]),
        (np.array([[0.25]], np.float32), "float64", [[0.25]]),
        (np.array([[3]], np.uint8), "uint8", [[3]]),
    ],
)
def test_convert_image_dtype(numbers: np.ndarray, dtype: str, expected: Any) -> None:
    result = transforms.ConvertImageDtype(dtype)(numbers)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, np.array(expected, dtype), rtol=1e-6)


def test_convert_image_dtype_keeps_all_bytes() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    there = F.convert_image_dtype(levels, "float32")
    np.testing.assert_array_equal(F.convert_image_dtype(there, "uint8"), levels)
    for bad in ((floats_of(2, 2), "int32"), (levels, "bool")):
        with pytest.raises(DTypeError):
            F.convert_image_dtype(*bad)


# Geometry.


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(3, 4), (12, 5), (7, 9), (1, 1), (20, 31), (4, 20)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resize_is_torchs_interpolation(size: Any, antialias: bool, dtype: str) -> None:
    array = floats_of(2, 3, 11, 9, dtype=dtype)
    expected = torch.nn.functional.interpolate(
        torch.tensor(array), size, mode="bilinear", antialias=antialias
    )
    ours = F.resize(tensor(array), size, antialias=antialias).numpy()
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(ours, expected.numpy(), atol=tolerance)


def test_resize_of_bytes_is_pillows_but_for_rounding() -> None:
    array = bytes_of(23, 31)
    for size in ((9, 12), (40, 50), (11, 60)):
        expected = Image.fromarray(array).resize(size[::-1], Image.Resampling.BILINEAR)
        difference = F.resize(array, size).astype(int) - np.asarray(expected, dtype=int)
        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("size", [(3, 4), (12, 5), (20, 31)])
def test_resize_nearest_is_torchs(size: Any) -> None:
    array = bytes_of(3, 11, 9)
    expected = torch.nn.functional.interpolate(torch.tensor(array)[None], size, mode="nearest")
    ours = transforms.Resize(size, "nearest")(tensor(array))
    np.testing.assert_array_equal(ours.numpy(), expected[0].numpy())


@pytest.mark.parametrize(
    ("shape", "size", "max_size", "expected"),
    [
        ((6, 9), 4, None, (4, 6)),
        ((9, 6), 4, None, (6, 4)),
        ((7, 10), 5, None, (5, 7)),
        ((7, 10), [5], None, (5, 7)),
        ((6, 9), 4, 5, (3, 5)),
        ((9, 6), (2, 3), None, (2, 3)),
        ((5, 5), 5, None, (5, 5)),
    ],
)
def test_resized_shape(shape: Any, size: Any, max_size: Any, expected: Any) -> None:
    assert transforms.Resize(size, max_size=max_size)(bytes_of(*shape)).shape == expected


@pytest.mark.parametrize("center", [None, (0.0, 0.0), (3.5, 2.0)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("angle", [13.0, -77.5, 200.0])
def test_rotate_is_torchs_sampling(angle: float, mode: str, center: Any) -> None:
    height, width = 7, 10
    array = floats_of(2, height, width, dtype="float64")
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = center or (width / 2, height / 2)
    # A grid of coordinates in [-1, 1], turned around (x, y) in pixels.
    columns, rows = np.meshgrid(np.arange(width) + 0.5 - x, np.arange(height) + 0.5 - y)
    grid = np.stack(
        [
            2 * (cosine * columns - sine * rows + x) / width - 1,
            2 * (sine * columns + cosine * rows + y) / height - 1,
        ],
        axis=-1,
    )
    expected = torch.nn.functional.grid_sample(
        torch.tensor(array)[None], torch.tensor(grid)[None], mode=mode, align_corners=False
    )
    ours = F.rotate(tensor(array), angle, mode, center=center).numpy()
    np.testing.assert_allclose(ours, expected[0].numpy(), atol=1e-10)


@pytest.mark.parametrize("shape", [(4, 6, 3), (5, 5), (5, 7)])
def test_rotate_by_right_angles(shape: Any) -> None:
    array = bytes_of(*shape)
    for turns in range(4):
        for mode in ("nearest", "bilinear"):
            ours = F.rotate(array, 90 * turns, mode, expand=True)
            np.testing.assert_array_equal(ours, np.rot90(array, turns))


def test_rotate_expands_as_pillow_does() -> None:
    array = bytes_of(14, 20)
    for angle in (10, 45, 80, 123):
        ours = F.rotate(array, angle, expand=True)
        picture = Image.fromarray(array).rotate(angle, expand=True)
        assert np.abs(np.subtract(ours.shape, picture.size[::-1])).max() <= 1
        inner = np.asarray(Image.fromarray(array).rotate(angle))
        # Pillow's arithmetic is coarser: some pixels come from a neighbor.
        assert (F.rotate(array, angle) == inner).mean() > 0.95


def test_rotate_fills() -> None:
    array = floats_of(3, 6, 6)
    for mode in ("nearest", "bilinear"):
        corner = F.rotate(tensor(array), 45, mode, fill=(1, 2, 3)).numpy()[:, 0, 0]
        np.testing.assert_allclose(corner, [1, 2, 3], rtol=1e-6)
    whole = F.rotate(np.full((5, 8), 0.5, np.float32), 33, "bilinear", fill=0.5)
    np.testing.assert_allclose(whole, 0.5, rtol=1e-6)


def test_pad() -> None:
    array = bytes_of(3, 4)
    sides = {1: (1, 1, 1, 1), (1, 2): (1, 2, 1, 2), (1, 2, 3, 0): (1, 2, 3, 0)}
    for padding, (left, top, right, bottom) in sides.items():
        widths = ((top, bottom), (left, right))
        for mode in ("constant", "edge", "reflect", "symmetric"):
            expected = np.pad(array, widths, mode=mode)
            result = transforms.Pad(padding, padding_mode=mode)(array)
            np.testing.assert_array_equal(result, expected)
    colored = F.pad(bytes_of(2, 2, 3), 1, fill=(1, 2, 3))
    assert colored[0, 0].tolist() == [1, 2, 3]


def test_center_crop() -> None:
    array = np.arange(30, dtype=np.uint8).reshape(5, 6)
    assert transforms.CenterCrop(3)(array).tolist() == array[1:4, 2:5].tolist()
    assert transforms.CenterCrop((2, 4))(array).tolist() == array[2:4, 1:5].tolist()
    wide = transforms.CenterCrop((3, 9))(array)
    assert wide.tolist() == np.pad(array[1:4], ((0, 0), (1, 2))).tolist()


# Random geometry.


@pytest.fixture(autouse=True)
def seeded() -> None:
    set_seed(0)


@pytest.mark.parametrize(
    "transform",
    [
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.RandomCrop(4, padding=1),
        transforms.RandomRotation(40),
        transforms.RandomResizedCrop(4),
        transforms.ColorJitter(0.3, 0.3, 0.3, 0.3),
    ],
    ids=str,
)
def test_random_transforms_draw_from_the_seed(transform: Any) -> None:
    array = bytes_of(6, 7, 3)

    def results() -> Any:
        set_seed(7)
        return [transform(array).tolist() for _ in range(12)]

    first = results()
    assert first == results()
    assert any(result != first[0] for result in first)


def test_flips_are_as_frequent_as_asked() -> None:
    array = bytes_of(2, 3)
    for flip, flipped in (
        (transforms.RandomHorizontalFlip, array[:, ::-1]),
        (transforms.RandomVerticalFlip, array[::-1]),
    ):
        assert flip(0.0)(array).tolist() == array.tolist()
        assert flip(1.0)(array).tolist() == flipped.tolist()
        count = sum(flip(0.3)(array).tolist() == flipped.tolist() for _ in range(2000))
        assert abs(count - 600) < 5 * (2000 * 0.21) ** 0.5


def test_random_crop_is_anywhere() -> None:
    array = np.arange(20, dtype=np.uint8).reshape(4, 5)
    corners = {int(transforms.RandomCrop((3, 3))(array)[0, 0]) for _ in range(200)}
    assert corners == {0, 1, 2, 5, 6, 7}
    padded = transforms.RandomCrop(6, padding=1, fill=9)(array)
    assert padded.tolist() == np.pad(array, 1, constant_values=9)[:, :6].tolist() or (
        padded.tolist() == np.pad(array, 1, constant_values=9)[:, 1:].tolist()
    )
    grown = transforms.RandomCrop((6, 5), pad_if_needed=True, padding_mode="edge")(array)
    assert grown.shape == (6, 5)
    with pytest.raises(ShapeError, match="pad_if_needed"):
        transforms.RandomCrop(6)(array)


def test_random_rotation_stays_in_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    angles: list[float] = []
    monkeypatch.setattr(F, "rotate", lambda img, angle, *rest: angles.append(angle))
    for degrees, low, high in ((30, -30, 30), ((10, 20), 10, 20)):
        angles.clear()
        transform = transforms.RandomRotation(degrees)
        for _ in range(300):
            transform(None)
        span = high - low
        assert low <= min(angles) < low + 0.1 * span
        assert high - 0.1 * span < max(angles) <= high


def test_random_resized_crop_rectangles() -> None:
    transform = transforms.RandomResizedCrop(5, scale=(0.2, 0.5), ratio=(0.5, 2.0))
    for _ in range(300):
        top, left, height, width = transform._rectangle(40, 30)
        assert 0 <= top <= 40 - height
        assert 0 <= left <= 30 - width
        # Sizes are rounded to whole pixels.
        assert 0.18 < height * width / 1200 < 0.54
        assert 0.45 < width / height < 2.2
    assert transform(bytes_of(40, 30, 3)).shape == (5, 5, 3)
    assert transforms.RandomResizedCrop(5)._middle(10, 100) == (0, 43, 10, 13)
    assert transforms.RandomResizedCrop(5)._middle(100, 9) == (44, 0, 12, 9)


# Colors.


@pytest.mark.parametrize("factor", [-0.5, -0.13, 0.0, 0.25, 0.5])
def test_hue_is_that_of_colorsys(factor: float) -> None:
    array = floats_of(4, 5, 3, dtype="float64")
    array[0, 0], array[0, 1], array[0, 2] = 0.0, 1.0, 0.4
    ours = F.adjust_hue(array, factor)
    for pixel, result in zip(array.reshape(-1, 3), ours.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        expected = colorsys.hsv_to_rgb((hue + factor) % 1.0, saturation, value)
        np.testing.assert_allclose(result, expected, atol=1e-12)


def test_hue_keeps_bytes() -> None:
    array = bytes_of(6, 6, 3)
    assert np.abs(F.adjust_hue(array, 0.0).astype(int) - array).max() <= 1
    turned = F.adjust_hue(F.adjust_hue(array, 0.3), -0.3).astype(int)
    assert np.abs(turned - array).max() <= 4


def test_blends_are_pillows() -> None:
    enhance = pytest.importorskip("PIL.ImageEnhance")
    array = bytes_of(8, 9, 3)
    picture = Image.fromarray(array)
    for ours, other in (
        (F.adjust_brightness, enhance.Brightness),
        (F.adjust_contrast, enhance.Contrast),
        (F.adjust_saturation, enhance.Color),
    ):
        for factor in (0.0, 0.5, 1.0, 1.7):
            expected = np.asarray(other(picture).enhance(factor), dtype=int)
            # Gray is rounded down here and to the nearest there, as is the mean.
            difference = np.abs(ours(array, factor) - expected)
            assert difference.max() <= 1 + factor


def test_blends_of_floats() -> None:
    array = floats_of(3, 4, 5, dtype="float64")
    gray = np.tensordot([0.2989, 0.587, 0.114], array, 1)
    cases = {
        F.adjust_brightness: np.clip(array * 1.5, 0, 1),
        F.adjust_contrast: np.clip(1.5 * array - 0.5 * gray.mean(), 0, 1),
        F.adjust_saturation: np.clip(1.5 * array - 0.5 * gray, 0, 1),
    }
    for adjust, expected in cases.items():
        np.testing.assert_allclose(adjust(tensor(array), 1.5).numpy(), expected, atol=1e-12)
        np.testing.assert_allclose(adjust(tensor(array), 1.0).numpy(), array, atol=1e-12)


def test_grayscale() -> None:
    array = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 200, 200]]], np.uint8)
    gray = transforms.Grayscale()(array)
    assert gray.tolist() == [[[76], [149], [29], [199]]]
    assert transforms.Grayscale(3)(array).tolist() == np.repeat(gray, 3, axis=-1).tolist()
    assert transforms.Grayscale()(Image.fromarray(array)).mode == "L"


def test_color_jitter_draws_within_its_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[float]] = {}
    for name in ("brightness", "contrast", "saturation", "hue"):
        record = drawn.setdefault(name, []).append
        monkeypatch.setitem(
            transforms.random._ADJUSTMENTS, name, lambda img, factor, keep=record: keep(factor)
        )
    jitter = transforms.ColorJitter(0.2, (0.5, 0.6), 3.0, 0.1)
    for _ in range(300):
        jitter(None)
    limits = {name: (min(factors), max(factors)) for name, factors in drawn.items()}
    ranges = {"brightness": (0.8, 1.2), "contrast": (0.5, 0.6), "saturation": (0, 4)}
    for name, (low, high) in {**ranges, "hue": (-0.1, 0.1)}.items():
        slack = 0.1 * (high - low)
        assert low <= limits[name][0] < low + slack
        assert high - slack < limits[name][1] <= high


def test_color_jitter_of_nothing_changes_nothing() -> None:
    array = bytes_of(3, 3, 3)
    assert transforms.ColorJitter()(array) is array


# Composition, names, errors.


def test_compose_prints_as_torchvision_does() -> None:
    both = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(mean=[0.5], std=[0.5])]
    )
    assert str(both) == ("Compose(\n    ToTensor()\n    Normalize(mean=[0.5], std=[0.5])\n)")
    np.testing.assert_allclose(both(np.full((2, 2), 255, np.uint8)).numpy(), 1.0)
    doubled = transforms.Lambda(lambda x: x * 2)
    assert transforms.Compose([doubled, doubled])(3) == 12
    assert str(doubled) == "Lambda()"
    assert str(transforms.RandomHorizontalFlip(0.3)) == "RandomHorizontalFlip(p=0.3)"


REFUSED = [
    (lambda: F.hflip([1, 2]), DTypeError),
    (lambda: F.to_tensor(tensor(floats_of(2, 2))), DTypeError),
    (lambda: F.hflip(floats_of(3, 32, 32)), ShapeError),
    (lambda: F.hflip(floats_of(4)), ShapeError),
    (lambda: F.hflip(tensor(floats_of(4))), ShapeError),
    (lambda: F.hflip(Image.new("P", (2, 2))), ArgumentError),
    (lambda: F.pad(bytes_of(2, 2), -1), ArgumentError),
    (lambda: F.pad(bytes_of(2, 2), (1, 2, 3)), ArgumentError),
    (lambda: F.pad(bytes_of(2, 2), 1, padding_mode="wrap"), ArgumentError),
    (lambda: F.pad(bytes_of(2, 2, 3), 1, fill=(1, 2)), ShapeError),
    (lambda: F.resize(bytes_of(2, 2), 0), ArgumentError),
    (lambda: F.resize(bytes_of(2, 2), (1, 2), max_size=3), ArgumentError),
    (lambda: F.resize(bytes_of(2, 2), 3, max_size=3), ArgumentError),
    (lambda: F.resize(bytes_of(2, 2), 3, "bicubic"), NotImplementedError),
    (lambda: F.rotate(bytes_of(2, 2), 3, expand=True, center=(0, 0)), ArgumentError),
    (lambda: F.rgb_to_grayscale(bytes_of(2, 2, 3), 2), ArgumentError),
    (lambda: F.rgb_to_grayscale(bytes_of(2, 2, 4)), ShapeError),
    (lambda: F.adjust_hue(bytes_of(2, 2, 3), 0.6), ArgumentError),
    (lambda: F.adjust_contrast(bytes_of(2, 2, 3), -1.0), ArgumentError),
    (lambda: transforms.ColorJitter(brightness=-1), ArgumentError),
    (lambda: transforms.ColorJitter(hue=0.6), ArgumentError),
    (lambda: transforms.ColorJitter(contrast=(2, 1)), ArgumentError),
    (lambda: transforms.RandomRotation(-5), ArgumentError),
    (lambda: transforms.RandomRotation((1, 2, 3)), ArgumentError),
    (lambda: transforms.RandomRotation(5, "lanczos"), NotImplementedError),
    (lambda: transforms.RandomResizedCrop(5, scale=(1, 0.5)), ArgumentError),
    (lambda: transforms.Lambda(3), ArgumentError),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "error"), REFUSED)
def test_what_is_refused(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_channels_first_does_not_copy() -> None:
    array = bytes_of(3, 4, 3)
    assert np.shares_memory(channels_first(array), array)
