"""Tensors that are made from numbers, shapes and chance, against PyTorch's."""

import numpy as np
import pytest

import numbanet
from numbanet.errors import ArgumentError, DTypeError
from numbanet.ir import DType
from numbanet.tensors import creation

torch = pytest.importorskip("torch")

CASES = [
    ("tensor", lambda m: m.tensor(3)),
    ("tensor", lambda m: m.tensor(2.5)),
    ("tensor", lambda m: m.tensor(True)),
    ("tensor", lambda m: m.tensor([])),
    ("tensor", lambda m: m.tensor([[1, 2.5], [3, 4]])),
    ("tensor", lambda m: m.tensor([1, 2], dtype=m.float64)),
    ("tensor", lambda m: m.tensor([1.7, -2.2], dtype=m.int32)),
    ("tensor", lambda m: m.tensor(np.arange(4.0))),
    ("tensor", lambda m: m.tensor([np.float64(1.5), np.float64(2)])),
    ("tensor", lambda m: m.tensor([m.tensor(1.0), m.tensor(2.0)])),
    ("tensor", lambda m: m.tensor([1.0], requires_grad=True)),
    ("as_tensor", lambda m: m.as_tensor([1, 2])),
    ("as_tensor", lambda m: m.as_tensor(m.tensor([1, 2]), dtype=m.float32)),
    ("from_numpy", lambda m: m.from_numpy(np.arange(6, dtype=np.int32).reshape(2, 3))),
    ("zeros", lambda m: m.zeros(2, 3)),
    ("zeros", lambda m: m.zeros((2, 3), dtype=m.int64)),
    ("zeros", lambda m: m.zeros(())),
    ("zeros", lambda m: m.zeros(size=(1, 2))),
    ("ones", lambda m: m.ones([2], dtype=m.bool)),
    ("full", lambda m: m.full((2, 2), 7)),
    ("full", lambda m: m.full((2,), 1.5)),
    ("full", lambda m: m.full((), True)),
    ("zeros_like", lambda m: m.zeros_like(m.tensor([1, 2]))),
    ("ones_like", lambda m: m.ones_like(m.tensor([1, 2]), dtype=m.float64)),
    ("full_like", lambda m: m.full_like(m.tensor([1.0, 2.0]), 4)),
    ("arange", lambda m: m.arange(5)),
    ("arange", lambda m: m.arange(1, 10, 3)),
    ("arange", lambda m: m.arange(5.0)),
    ("arange", lambda m: m.arange(0, 1, 0.1)),
    ("arange", lambda m: m.arange(5, 0, -2)),
    ("arange", lambda m: m.arange(3, dtype=m.float64)),
    ("linspace", lambda m: m.linspace(-1, 1, 7)),
    ("linspace", lambda m: m.linspace(0, 1, 1)),
    ("logspace", lambda m: m.logspace(0, 2, 3)),
    ("eye", lambda m: m.eye(3)),
    ("eye", lambda m: m.eye(2, 3, dtype=m.int64)),
]


class Ours:
    float32, float64 = DType.FLOAT32, DType.FLOAT64
    int32, int64, bool = DType.INT32, DType.INT64, DType.BOOL

    def __getattr__(self, name):
        return getattr(creation, name)


@pytest.mark.parametrize(
    "make", [pytest.param(make, id=f"{name}-{i}") for i, (name, make) in enumerate(CASES)]
)
def test_as_torch_makes_it(make):
    ours, theirs = make(Ours()), make(torch)
    assert f"torch.{ours.dtype}" == str(theirs.dtype)
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.requires_grad == theirs.requires_grad
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-7
    )


def test_meshgrid():
    ours = creation.meshgrid(creation.arange(2), creation.arange(3), indexing="ij")
    theirs = torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


RANDOM_CASES = [
    ("rand", lambda m: m.rand(40, 50)),
    ("rand", lambda m: m.rand(2000, dtype=m.float64)),
    ("randn", lambda m: m.randn((40, 50))),
    ("randint", lambda m: m.randint(7, (2000,))),
    ("randint", lambda m: m.randint(-3, 4, (40, 50))),
    ("randint", lambda m: m.randint(0, 9, (2000,), dtype=m.float32)),
    ("randperm", lambda m: m.randperm(2000)),
    ("normal", lambda m: m.normal(3.0, 0.5, (2000,))),
    ("normal", lambda m: m.normal(m.full((2000,), 2.0), m.full((2000,), 0.1))),
    ("bernoulli", lambda m: m.bernoulli(m.full((2000,), 0.3))),
    ("multinomial", lambda m: m.multinomial(m.tensor([1.0, 0.0, 3.0]), 2000, True)),
    ("rand_like", lambda m: m.rand_like(m.zeros(2000))),
    ("randn_like", lambda m: m.randn_like(m.zeros(2000))),
]


@pytest.mark.parametrize(
    "make", [pytest.param(make, id=f"{n}-{i}") for i, (n, make) in enumerate(RANDOM_CASES)]
)
def test_draws_from_the_same_distribution(make):
    torch.manual_seed(1)
    creation.manual_seed(1)
    ours, theirs = make(Ours()), make(torch)
    again = make(Ours())
    creation.manual_seed(1)
    repeated = make(Ours())
    assert f"torch.{ours.dtype}" == str(theirs.dtype)
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_array_equal(ours.numpy(), repeated.numpy())
    assert not np.array_equal(ours.numpy(), again.numpy())
    mine, other = ours.numpy().astype(float).ravel(), theirs.numpy().astype(float).ravel()
    # Means of 2000 draws; five of their standard deviations apart at most.
    assert abs(mine.mean() - other.mean()) < 5 * other.std() * np.sqrt(2 / 2000)
    assert 0.8 < mine.std() / other.std() < 1.25


def test_a_generator_of_the_callers():
    first, second = (creation.rand(5, generator=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_a_tensor_copies():
    array = np.zeros(3, np.float32)
    ours = creation.tensor(array), creation.from_numpy(array), creation.as_tensor(array)
    array[0] = 5
    assert all(each.numpy()[0] == 0 for each in ours)
    assert creation.as_tensor(ours[0]) is ours[0]


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: creation.tensor(["a"]), DTypeError),
        (lambda: creation.tensor(1 + 2j), DTypeError),
        (lambda: creation.tensor([1, 2], requires_grad=True), DTypeError),
        (lambda: creation.from_numpy([1]), DTypeError),
        (lambda: creation.arange(1, 5, -1), ArgumentError),
        (lambda: creation.rand(2, generator=5), ArgumentError),
        (
            lambda: creation.zeros(2, device="cuda:7" if not _has_gpu() else "cpu"),
            ArgumentError,
        ),
        (lambda: creation.bernoulli(creation.full((2,), 1.5)), ArgumentError),
        (lambda: creation.set_default_dtype("float64"), NotImplementedError),
    ],
)
def test_errors(make, error):
    with pytest.raises(error):
        make()


def _has_gpu():
    return creation.zeros(1).device == "cuda"


def test_default_dtype():
    creation.set_default_dtype(numbanet.tensors.creation.get_default_dtype())
    assert creation.tensor(1.5).dtype is creation.get_default_dtype()


def test_a_generator_has_a_seed_of_its_own():
    def draw():
        generator = numbanet.Generator(device="cpu").manual_seed(3)
        return numbanet.rand(4, generator=generator).numpy()

    np.testing.assert_array_equal(draw(), draw())
    with pytest.raises(NotImplementedError, match="device"):
        numbanet.Generator(device="cuda")


@pytest.mark.parametrize(
    "name", ["FloatTensor", "DoubleTensor", "IntTensor", "LongTensor", "ByteTensor"]
)
def test_constructors_by_type_take_numbers_or_sizes(name):
    for data in ([[1, 2], [3, 4]], [2**24 + 1] if name == "LongTensor" else [7]):
        ours, theirs = getattr(numbanet, name)(data), getattr(torch, name)(data)
        for mine, peer in ((ours, theirs), (ours.new(data), theirs.new(data))):
            assert repr(mine) == repr(peer).replace("torch.", "numbanet.")
    assert getattr(numbanet, name)(2, 0, 3).shape == (2, 0, 3)
    assert getattr(numbanet, name)(numbanet.zeros(2, 3).size()).shape == (2, 3)
    assert getattr(numbanet, name)().shape == (0,)
    assert numbanet.BoolTensor([1, 0]).tolist() == [True, False]
