"""Normalisation against PyTorch's."""

import numpy as np
import pytest

from numbanet import nn, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Graph
from numbanet.nn import functional as ours
from numbanet.passes.inference import inference
from numbanet.state.linking import link
from numbanet.tensors.tensor import Tensor
from numbanet.testing import evaluate, run
from tests.nn.graphs import compare_graphs
from tests.nn.modules import alike, both, computes_alike, records_alike
from tests.nn.parity import compare, weighted_sum

torch = pytest.importorskip("torch")
theirs = torch.nn.functional

WITHOUT = {"weight": None, "bias": None}
RUNNING = {"running_mean": None, "running_var": None}

CASES = [
    ("F.batch_norm", (5, 3), {"running_mean": (3,), "running_var": (3,)}, {}),
    (
        "F.batch_norm",
        (2, 3, 4),
        {"running_mean": (3,), "running_var": (3,), "weight": (3,)},
        {},
    ),
    (
        "F.batch_norm",
        (2, 3, 4, 5),
        {"running_mean": (3,), "running_var": (3,), "weight": (3,), "bias": (3,)},
        {"eps": 0.1},
    ),
    ("F.batch_norm", (5, 3), RUNNING, {"training": True}),
    ("F.batch_norm", (5, 1), RUNNING | {"weight": (1,)}, {"training": True, "eps": 0.1}),
    ("F.batch_norm", (2, 3, 4), RUNNING | {"weight": (3,), "bias": (3,)}, {"training": True}),
    ("F.batch_norm", (2, 3, 4, 5), RUNNING | {"bias": (3,)}, {"training": True}),
    ("F.batch_norm", (1, 2, 1, 2, 3), RUNNING, {"training": True}),
    ("F.instance_norm", (2, 3, 4), {}, {}),
    ("F.instance_norm", (2, 3, 4, 5), RUNNING | {"weight": (3,), "bias": (3,)}, {"eps": 0.1}),
    ("F.instance_norm", (2, 1, 2, 3, 2), RUNNING | {"weight": (1,)}, {}),
    (
        "F.instance_norm",
        (2, 3, 4),
        {"running_mean": (3,), "running_var": (3,)},
        {"use_input_stats": False},
    ),
    ("F.layer_norm", (3, 4), WITHOUT, {"normalized_shape": (4,)}),
    ("F.layer_norm", (2, 3, 4), {"weight": (4,)}, {"normalized_shape": [4]}),
    (
        "F.layer_norm",
        (2, 3, 4),
        {"weight": (3, 4), "bias": (3, 4)},
        {"normalized_shape": (3, 4), "eps": 0.1},
    ),
    (
        "F.layer_norm",
        (2, 3, 4),
        {"weight": None, "bias": (2, 3, 4)},
        {"normalized_shape": (2, 3, 4)},
    ),
    ("F.layer_norm", (4,), {"weight": (4,), "bias": (4,)}, {"normalized_shape": (4,)}),
    ("F.rms_norm", (3, 4), {"weight": None}, {"normalized_shape": (4,)}),
    ("F.rms_norm", (2, 3, 4), {"weight": (3, 4)}, {"normalized_shape": (3, 4)}),
    ("F.rms_norm", (2, 3, 4), {"weight": (4,)}, {"normalized_shape": [4], "eps": 0.1}),
    ("F.group_norm", (2, 9), WITHOUT, {"num_groups": 3}),
    ("F.group_norm", (2, 6, 5), {"weight": (6,)}, {"num_groups": 2}),
    (
        "F.group_norm",
        (2, 4, 3, 2),
        {"weight": (4,), "bias": (4,)},
        {"num_groups": 1, "eps": 0.1},
    ),
    ("F.group_norm", (2, 4, 3, 2), {}, {"num_groups": 4}),
    ("F.local_response_norm", (2, 5, 3), {}, {"size": 3}),
    ("F.local_response_norm", (2, 5, 3), {}, {"size": 4, "alpha": 0.5, "beta": 0.6, "k": 2.0}),
    ("F.local_response_norm", (2, 3, 2, 2), {}, {"size": 1, "alpha": 1.0}),
    ("F.normalize", (2, 3, 4), {}, {}),
    ("F.normalize", (2, 3, 4), {}, {"p": 1.0, "dim": -1}),
    ("F.normalize", (2, 3, 4), {}, {"p": 3.0, "dim": (1, 2)}),
    ("F.normalize", (4,), {}, {"p": float("inf"), "dim": 0}),
    ("F.normalize", (3, 2), {}, {"eps": 1.5}),
]


@pytest.mark.parametrize(("name", "shape", "vectors", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes(name, shape, vectors, arguments, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(1.0, 2.0, shape)]
    arrays += [
        None if each is None else rng.uniform(0.5, 2.0, each) for each in vectors.values()
    ]

    def called(function):
        return lambda x, *given: function(
            x, **dict(zip(vectors, given, strict=True)), **arguments
        )

    running = [i for i, each in enumerate(vectors, 1) if each.startswith("running")]
    compare_graphs(
        called(getattr(ours, name[2:])),
        called(getattr(theirs, name[2:])),
        arrays,
        dtype,
        running,
    )


MODULES = [
    ("nn.BatchNorm1d", (3,), {}, ((5, 3),)),
    ("nn.BatchNorm1d", (3,), {"momentum": None}, ((5, 3, 4),)),
    ("nn.BatchNorm1d", (3, 0.1, 0.3, False), {}, ((5, 3),)),
    ("nn.BatchNorm1d", (3,), {"track_running_stats": False}, ((5, 3),)),
    ("nn.BatchNorm1d", (3,), {"bias": False}, ((5, 3),)),
    ("nn.BatchNorm2d", (3,), {}, ((2, 3, 4, 5),)),
    ("nn.BatchNorm2d", (1,), {"affine": False, "momentum": 1.0}, ((2, 1, 4, 5),)),
    ("nn.BatchNorm3d", (3,), {}, ((2, 3, 2, 4, 1),)),
    ("nn.InstanceNorm1d", (3,), {}, ((2, 3, 4),)),
    ("nn.InstanceNorm1d", (3,), {"affine": True}, ((3, 4),)),
    ("nn.InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, ((2, 3, 4, 5),)),
    ("nn.InstanceNorm2d", (3, 0.1, 0.3), {"track_running_stats": True}, ((3, 4, 5),)),
    ("nn.InstanceNorm3d", (3,), {"affine": True, "bias": False}, ((2, 3, 2, 2, 3),)),
    ("nn.LayerNorm", (4,), {}, ((3, 4),)),
    ("nn.LayerNorm", ([3, 4],), {"eps": 0.1}, ((2, 3, 4),)),
    ("nn.LayerNorm", ((4,),), {"bias": False}, ((3, 4),)),
    ("nn.LayerNorm", (4,), {"elementwise_affine": False}, ((3, 4),)),
    ("nn.RMSNorm", (4,), {}, ((3, 4),)),
    ("nn.RMSNorm", ((3, 4), 0.1, False), {}, ((2, 3, 4),)),
    ("nn.GroupNorm", (2, 4), {}, ((2, 4, 5, 3),)),
    ("nn.GroupNorm", (4, 4, 0.1, False), {}, ((2, 4, 5),)),
    ("nn.GroupNorm", (1, 4), {"bias": False}, ((2, 4),)),
    ("nn.LocalResponseNorm", (3,), {"alpha": 0.5, "k": 2.0}, ((2, 4, 3),)),
]


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_modules_are_alike(case):
    alike(case)


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_modules_compute_alike(case):
    computes_alike(case, "float32")


@pytest.mark.parametrize(
    "case", [c for c in MODULES if "Batch" in c[0] or "Instance" in c[0]], ids=str
)
def test_modules_compute_alike_in_evaluation(case):
    computes_alike(case, "float32", train=False)


@pytest.mark.parametrize(
    "case", [case for case in MODULES if case[2].get("momentum", 0) is None], ids=str
)
def test_modules_compute_alike_in_double(case):
    computes_alike(case, "float64")


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_values_follow_pytorchs_from_batch_to_batch(momentum):
    mine, peer = both("BatchNorm1d", (3,), {"momentum": momentum})
    rng = np.random.default_rng(0)
    for step in range(4):
        array = rng.normal(step, 2.0, (6, 3)).astype(np.float32)
        x = Tensor.wrap(array, requires_grad=True)
        y = mine(x)
        peer(torch.tensor(array))
        if step % 2:
            # The forward pass is computed once more for its gradient, and must not count twice.
            y.array()
            weighted_sum([y], [Tensor.wrap(np.ones((6, 3), np.float32))]).backward()
            assert x.grad.array().shape == (6, 3)
    for key, tensor in peer.state_dict().items():
        found = mine.state_dict()[key].array()
        np.testing.assert_allclose(found, tensor.numpy(), rtol=1e-5, err_msg=key)
    mine.reset_running_stats()
    assert mine.num_batches_tracked.item() == 0
    np.testing.assert_array_equal(mine.running_var.array(), np.ones(3, np.float32))


def test_a_function_moves_running_values_in_place():
    array = np.random.default_rng(0).normal(1.0, 2.0, (6, 3)).astype(np.float32)
    pairs = []
    for library, make in ((ours, lambda a: Tensor.wrap(a.copy())), (theirs, torch.tensor)):
        mean, var = make(np.zeros(3, np.float32)), make(np.ones(3, np.float32))
        library.batch_norm(make(array), mean, var, training=True, momentum=0.3)
        library.instance_norm(make(array.reshape(2, 3, 3)), mean, var, momentum=0.3)
        pairs.append((mean, var))
    for found, expected in zip(*pairs, strict=True):
        np.testing.assert_allclose(found.array(), expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("LazyBatchNorm1d", (5, 3)), ("LazyBatchNorm2d", (2, 3, 4, 5)),
     ("LazyBatchNorm3d", (2, 3, 2, 2, 2)), ("LazyInstanceNorm1d", (2, 3, 4)),
     ("LazyInstanceNorm2d", (2, 3, 4, 5)), ("LazyInstanceNorm3d", (2, 3, 2, 2, 2))],
)  # fmt: skip
def test_lazy_norms_take_their_size_from_their_input(name, shape):
    mine, peer = both(name)
    assert repr(mine) == repr(peer)
    assert list(mine.state_dict()) == list(peer.state_dict())
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mine(Tensor.wrap(array))
    peer(torch.tensor(array))
    assert type(mine).__name__ == name.removeprefix("Lazy")
    assert repr(mine) == repr(peer)
    for key, tensor in peer.state_dict().items():
        found = mine.state_dict()[key].array()
        np.testing.assert_allclose(found, tensor.numpy(), 1e-5, 1e-6, err_msg=key)
    assert [key for key, _ in mine.named_parameters()] == ["weight", "bias"]
    compare(mine, peer, [array])


def test_lazy_norms_of_one_sample_count_its_channels():
    mine = nn.LazyInstanceNorm1d()
    mine(tensor(3, 4))
    assert mine.num_features == 3


def test_a_lazy_module_loads_a_state():
    peer = torch.nn.BatchNorm1d(3)
    peer(torch.randn(5, 3))
    mine = nn.LazyBatchNorm1d()
    mine.load_state_dict({key: each.numpy() for key, each in peer.state_dict().items()})
    array = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    compare(mine, peer, [array])
    assert repr(mine) == repr(peer)


def test_as_a_layer_of_a_model_running_values_move_at_the_end_of_a_step():
    mine, peer = both("BatchNorm1d", (3,))
    x = ops.input_value("x", (None, 3))
    graph, _ = link(Graph((x,), {"y": mine(x)}))
    array = np.random.default_rng(0).normal(1.0, 2.0, (6, 3)).astype(np.float32)
    found = run(graph, {"x": array})["y"]
    np.testing.assert_allclose(found, peer(torch.tensor(array)).detach().numpy(), atol=1e-5)
    for name in ("running_mean", "running_var"):
        moved = getattr(mine, name).array()
        np.testing.assert_allclose(moved, getattr(peer, name).numpy(), rtol=1e-5)
    at_rest = inference(Graph((x,), {"y": mine(x)}))
    found = evaluate(at_rest.outputs["y"], {x: array})
    expected = peer.eval()(torch.tensor(array)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def tensor(*shape):
    return Tensor.wrap(np.ones(shape, np.float32))


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: nn.BatchNorm1d(3)(tensor(2, 3, 4, 5)), ShapeError),
        (lambda: nn.BatchNorm2d(3)(tensor(2, 3)), ShapeError),
        (lambda: nn.BatchNorm1d(3)(tensor(1, 3)), ShapeError),
        (lambda: nn.BatchNorm1d(3)(tensor(2, 4)), ShapeError),
        (lambda: nn.InstanceNorm1d(3)(tensor(2, 3, 1)), ShapeError),
        (lambda: nn.InstanceNorm1d(3, affine=True)(tensor(2, 4, 5)), ShapeError),
        (lambda: nn.LayerNorm((3, 4))(tensor(3, 5)), ShapeError),
        (lambda: nn.GroupNorm(2, 3), ArgumentError),
        (lambda: nn.GroupNorm(3, 3)(tensor(2, 6)), ShapeError),
        (lambda: ours.batch_norm(tensor(2, 3), None, None), ArgumentError),
        (lambda: ours.normalize(tensor(2, 3), out=tensor(2, 3)), NotImplementedError),
    ],
)
def test_bad_arguments(call, kind):
    with pytest.raises(kind):
        call()


def test_instance_norm_of_other_channels_warns():
    with pytest.warns(UserWarning, match="channels"):
        nn.InstanceNorm1d(3)(tensor(2, 4, 5))


@pytest.mark.parametrize(
    "case", [c for c in MODULES if c[3][0][0] != 3 or "Layer" in c[0] or "RMS" in c[0]], ids=str
)
def test_modules_are_layers_of_a_model(case):
    records_alike(case)
