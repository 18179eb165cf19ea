"""Every module that there is beside PyTorch's: state, weights both ways, copies, conversions.

Values and gradients over their arguments are compared family by family; here no module is left
out. Results are computed by the ops' references, so nothing is compiled.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet import ops
from numbanet.ir import DType
from numbanet.testing import evaluate
from tests.docs import coverage
from tests.nn.parity import leaves

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def real(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def ids(count: int, *shape: int) -> np.ndarray:
    return np.asarray(RNG.integers(0, count, shape))


ROWS, SERIES, IMAGE = real(3, 4), real(2, 4, 6), real(2, 4, 6, 6)
VOLUME, SIGNS = real(2, 4, 4, 4, 4), np.sign(real(3, 4)) + 0.0
UNIT = 1 / (1 + np.exp(-ROWS))
PAIR = (ROWS, real(3, 4))
SEQUENCE = real(3, 2, 4)

ACTIVATIONS = (
    "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid "
    "Mish PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink"
)
PADDINGS = "CircularPad ReflectionPad ReplicationPad ZeroPad"
BY_AXES = {1: SERIES, 2: IMAGE, 3: VOLUME}
TWO = "HuberLoss L1Loss MSELoss SmoothL1Loss SoftMarginLoss PoissonNLLLoss"

MODULES: dict[str, Any] = {
    **dict.fromkeys(ACTIVATIONS.split(), ((), (ROWS,))),
    **dict.fromkeys(("GLU", "LogSoftmax", "Softmax", "Softmin"), ((1,), (ROWS,))),
    "Threshold": ((0.1, 2.0), (ROWS,)),
    "Softmax2d": ((), (IMAGE,)),
    **{f"{name}{n}d": ((1,), (BY_AXES[n],)) for name in PADDINGS.split() for n in (1, 2, 3)},
    **{f"ConstantPad{n}d": ((1, 2.5), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"{name}{n}d": ((4,), (BY_AXES[n],)) for name in ("BatchNorm",) for n in (1, 2, 3)},
    **{f"InstanceNorm{n}d": ((4, 1e-5, 0.1, True), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"Lazy{name}{n}d": ((), (BY_AXES[n],)) for name in ("BatchNorm",) for n in (1, 2, 3)},
    **{f"LazyInstanceNorm{n}d": ((1e-5, 0.1, True, False), (BY_AXES[n],)) for n in (1, 2, 3)},
    "GroupNorm": ((2, 4), (IMAGE,)),
    "LayerNorm": ((4,), (ROWS,)),
    "RMSNorm": ((4,), (ROWS,)),
    "LocalResponseNorm": ((2,), (IMAGE,)),
    **{f"Conv{n}d": ((4, 6, 3), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": ((4, 6, 3), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"LazyConv{n}d": ((6, 3), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"LazyConvTranspose{n}d": ((6, 3), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"MaxPool{n}d": ((2,), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"AvgPool{n}d": ((2,), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"LPPool{n}d": ((2, 2), (np.abs(BY_AXES[n]),)) for n in (1, 2, 3)},
    **{f"AdaptiveAvgPool{n}d": ((3,), (BY_AXES[n],)) for n in (1, 2, 3)},
    **{f"AdaptiveMaxPool{n}d": ((3,), (BY_AXES[n],)) for n in (1, 2, 3)},
    "MaxUnpool1d": ((2,), (SERIES, np.tile(np.arange(0, 12, 2), (2, 4, 1)))),
    "MaxUnpool2d": ((1,), (IMAGE, np.tile(np.arange(36).reshape(6, 6), (2, 4, 1, 1)))),
    "MaxUnpool3d": ((1,), (VOLUME, np.tile(np.arange(64).reshape(4, 4, 4), (2, 4, 1, 1, 1)))),
    "Linear": ((4, 3), (ROWS,)),
    "LazyLinear": ((3,), (ROWS,)),
    "Bilinear": ((4, 4, 3), PAIR),
    "Embedding": ((5, 3, 1), (ids(5, 2, 3),)),
    "EmbeddingBag": ((5, 3), (ids(5, 2, 3),)),
    "RNN": ((4, 3, 2), (SEQUENCE,)),
    "LSTM": ((4, 3), (SEQUENCE,)),
    "GRU": ((4, 3), (SEQUENCE,)),
    "RNNCell": ((4, 3), (ROWS,)),
    "LSTMCell": ((4, 3), (ROWS,)),
    "GRUCell": ((4, 3), (ROWS,)),
    "MultiheadAttention": ((4, 2), (SEQUENCE, SEQUENCE, SEQUENCE)),
    "TransformerEncoderLayer": ((4, 2, 5), (SEQUENCE,)),
    "TransformerDecoderLayer": ((4, 2, 5), (SEQUENCE, SEQUENCE)),
    "Transformer": (
        (4, 2, 1, 1, 5, 0.0, "relu", None, None, 1e-5, True),
        (SEQUENCE, SEQUENCE),
    ),
    **{f"Dropout{n}": ((), (SERIES if n == "1d" else VOLUME,)) for n in ("", "1d", "3d")},
    **dict.fromkeys(("Dropout2d", "AlphaDropout", "FeatureAlphaDropout"), ((), (IMAGE,))),
    "Flatten": ((), (IMAGE,)),
    "Unflatten": ((1, (2, 2)), (IMAGE,)),
    "Fold": (((3, 3), (2, 2)), (SERIES[:, :, :4],)),
    "Unfold": ((2,), (IMAGE,)),
    "PixelShuffle": ((2,), (IMAGE,)),
    "PixelUnshuffle": ((2,), (IMAGE,)),
    "ChannelShuffle": ((2,), (IMAGE,)),
    "Upsample": ((None, 2), (IMAGE,)),
    "UpsamplingBilinear2d": ((None, 2), (IMAGE,)),
    "UpsamplingNearest2d": ((None, 2), (IMAGE,)),
    "CosineSimilarity": ((), PAIR),
    "PairwiseDistance": ((), PAIR),
    **dict.fromkeys(TWO.split(), ((), PAIR)),
    "BCELoss": ((), (UNIT, np.float32(SIGNS > 0))),
    "BCEWithLogitsLoss": ((), (ROWS, np.float32(SIGNS > 0))),
    "KLDivLoss": ((None, None, "batchmean"), (np.log(UNIT), UNIT)),
    "CrossEntropyLoss": ((), (ROWS, ids(4, 3))),
    "NLLLoss": ((), (ROWS, ids(4, 3))),
    "CTCLoss": ((), (np.log(UNIT[:, None]), ids(3, 1, 2) + 1, np.array([3]), np.array([1]))),
    "MultiMarginLoss": ((), (ROWS, ids(4, 3))),
    "MultiLabelMarginLoss": ((), (ROWS, np.array([[1, 0, -1, 2]] * 3))),
    "MultiLabelSoftMarginLoss": ((), (ROWS, np.float32(SIGNS > 0))),
    "HingeEmbeddingLoss": ((), (ROWS, np.float32(SIGNS))),
    "GaussianNLLLoss": ((), (*PAIR, UNIT)),
    "MarginRankingLoss": ((), (*PAIR, np.float32(SIGNS))),
    "CosineEmbeddingLoss": ((), (*PAIR, np.float32([1, -1, 1]))),
    "TripletMarginLoss": ((), (*PAIR, real(3, 4))),
    "TripletMarginWithDistanceLoss": ((), (*PAIR, real(3, 4))),
}
"""By name: arguments of the constructor, and inputs."""

ELSEWHERE = {
    *("Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"),
    *("Parameter", "Buffer", "UninitializedParameter", "UninitializedBuffer"),
    *("RNNBase", "RNNCellBase", "TransformerEncoder", "TransformerDecoder"),
}
"""Containers and bases, whose tests are those of containers, modules and transformers."""


def test_no_module_is_left_out() -> None:
    (room,) = (each for each in coverage.TORCH if each.theirs == "torch.nn")
    there = {name for name in coverage.public(room) if hasattr(nn, name)}
    assert {name for name in there if inspect.isclass(getattr(nn, name))} == {
        *MODULES,
        *ELSEWHERE,
    }


def made(name: str) -> tuple[Any, Any]:
    """Our module and PyTorch's. Lazy ones have seen their inputs."""
    args, inputs = MODULES[name]
    ours, theirs = (getattr(library, name)(*args) for library in (nn, torch.nn))
    assert repr(ours) == repr(theirs)
    if name.startswith("Lazy"):
        theirs(*map(torch.tensor, inputs))
        computed(ours, inputs)
        assert repr(ours) == repr(theirs)
    return ours.eval(), theirs.eval()


def computed(module: Any, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """The results by the ops' references."""
    values = [
        ops.input_value(f"x{i}", x.shape, DType.of(x.dtype)) for i, x in enumerate(inputs)
    ]
    found = list(leaves(module(*values)))
    given = dict(zip(values, inputs, strict=True))
    return [evaluate(each, given) for each in found]


def numbers(module: Any) -> dict[str, np.ndarray]:
    return {key: each.numpy().copy() for key, each in module.state_dict().items()}


def same(found: Any, expected: Any) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, 2e-5, 2e-5)


@pytest.mark.parametrize("name", MODULES)
def test_weights_go_both_ways(name: str) -> None:
    (ours, theirs), (_, inputs) = made(name), MODULES[name]
    state, expected = numbers(ours), numbers(theirs)
    assert {key: (a.shape, a.dtype) for key, a in state.items()} == {
        key: (a.shape, a.dtype) for key, a in expected.items()
    }
    assert list(state) == list(expected)
    theirs.load_state_dict({key: torch.from_numpy(each) for key, each in state.items()})
    results = computed(ours, inputs)
    same(
        results, [each.detach().numpy() for each in leaves(theirs(*map(torch.tensor, inputs)))]
    )
    other, _ = made(name)
    other.load_state_dict(theirs.state_dict())
    same(computed(other, inputs), results)


@pytest.mark.parametrize("name", MODULES)
def test_copies_are_the_same_and_their_own(name: str) -> None:
    (ours, _), (_, inputs) = made(name), MODULES[name]
    before, results = numbers(ours), computed(ours, inputs)
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert repr(twin) == repr(ours)
        assert not twin.training
        same(computed(twin, inputs), results)
        for parameter in twin.parameters():
            nn.init.constant_(parameter, 0.5)
        for key, array in numbers(ours).items():
            np.testing.assert_array_equal(array, before[key])


@pytest.mark.parametrize("name", MODULES)
def test_modes_and_conversions(name: str) -> None:
    ours, theirs = made(name)
    for module in (ours, theirs):
        assert module.train() is module
        assert all(each.training for each in module.modules())
        assert module.eval() is module
        assert not any(each.training for each in module.modules())
    before = numbers(ours)
    for kind, dtype in (("double", np.float64), ("float", np.float32)):
        assert getattr(ours, kind)() is ours
        getattr(theirs, kind)()
        for key, array in numbers(theirs).items():
            found = numbers(ours)[key]
            assert found.dtype == array.dtype, key
            assert array.dtype.kind != "f" or array.dtype == dtype
            np.testing.assert_array_equal(found, before[key])
    ours.requires_grad_(False)
    assert not any(each.requires_grad for each in ours.parameters())
