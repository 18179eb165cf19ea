"""The protocol of modules: members, traversal, modes, calls, printing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet import lint
from numbanet.errors import ArgumentError, DTypeError, GraphError, MemberError, NumbanetError
from numbanet.ir import DType, Value
from numbanet.layers import Dense, Input
from numbanet.layers import Module as Layer
from numbanet.models import Model
from numbanet.tensors.tensor import Tensor
from tests.nn.twins import BOTH, OURS, alike


def zeros(*shape: int) -> Tensor:
    return Tensor.wrap(np.zeros(shape, np.float32))


# Names and orders, as PyTorch has them.


def _names(method: str, of: str = "", **arguments: Any) -> Callable[[Any], list[str]]:
    def find(lib: Any) -> list[str]:
        module = lib.Net().get_submodule(of)
        return [name for name, _ in getattr(module, method)(**arguments)]

    return find


def _classes(method: str) -> Callable[[Any], list[str]]:
    return lambda lib: [type(each).__name__ for each in getattr(lib.Net(), method)()]


def _applied(lib: Any) -> list[str]:
    order: list[str] = []
    lib.Net().apply(lambda module: order.append(type(module).__name__))
    return order


def _reassigned(lib: Any) -> list[str]:
    net = lib.Net()
    net.own = lib.nn.Parameter(lib.tensor(np.ones(1, np.float32)))
    net.norm = lib.Wordy()
    net.branch = None
    net.first = lib.nn.Parameter(lib.tensor(np.ones(2, np.float32)))
    net.missing = lib.Linear(1, 1)
    del net.shared
    return [*(n for n, _ in net.named_modules()), *(n for n, _ in net.named_parameters())]


WALKS = {
    "parameters": _names("named_parameters"),
    "own parameters": _names("named_parameters", recurse=False),
    "with a prefix": _names("named_parameters", prefix="model"),
    "repeated parameters": _names("named_parameters", remove_duplicate=False),
    "buffers": _names("named_buffers"),
    "own buffers": _names("named_buffers", of="norm", recurse=False, prefix="p"),
    "children": _names("named_children"),
    "modules": _names("named_modules"),
    "modules with a prefix": _names("named_modules", prefix="model"),
    "repeated modules": _names("named_modules", remove_duplicate=False),
    "classes of children": _classes("children"),
    "classes of modules": _classes("modules"),
    "apply": _applied,
    "reassigned": _reassigned,
}


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_walks_find_what_pytorch_finds(walk: Callable[[Any], list[str]]) -> None:
    ours, theirs = (walk(library) for library in BOTH)
    assert ours == theirs
    assert ours


def test_parameters_and_buffers_are_the_attributes() -> None:
    net = OURS.Net()
    assert [id(p) for p in net.first.parameters()] == [
        id(net.first.weight),
        id(net.first.bias),
    ]
    assert next(iter(net.norm.buffers())) is net.norm.mean
    assert net.get_parameter("branch.0.weight") is net.branch[0].weight
    assert net.get_buffer("norm.count") is net.norm.count
    assert net.get_submodule("branch.1.0") is net.branch[1][0]
    assert net.get_submodule("") is net


def test_the_tables_of_members_are_live() -> None:
    net = OURS.Net()
    net._modules["first"] = OURS.Wordy()
    net._parameters["extra"] = nn.Parameter(zeros(3))
    del net._modules["norm"]
    assert isinstance(net.first, OURS.Wordy)
    assert "extra" in dict(net.named_parameters())
    assert not hasattr(net, "norm")
    assert repr(OURS.Wordy()._modules) == "{}"


def test_set_submodule() -> None:
    net = OURS.Net()
    net.set_submodule("branch.0", OURS.Wordy())
    assert isinstance(net.branch[0], OURS.Wordy)
    net.set_submodule("added", OURS.Wordy())
    assert "added" in dict(net.named_children())
    with pytest.raises(AttributeError, match="zzz"):
        net.set_submodule("zzz", OURS.Wordy(), strict=True)
    with pytest.raises(ArgumentError, match="path"):
        net.set_submodule("", OURS.Wordy())


# Mistakes: the same kind of exception as PyTorch's.


def _before_init(lib: Any, value: Callable[[], Any]) -> Any:
    class Hasty(lib.nn.Module):
        def __init__(self) -> None:
            self.member = value()

    return Hasty()


MISTAKES = {
    "module before init": lambda lib: _before_init(lib, lib.Wordy),
    "parameter before init": lambda lib: _before_init(
        lib, lambda: lib.nn.Parameter(lib.tensor(np.zeros(1, np.float32)))
    ),
    "buffer before init": lambda lib: lib.nn.Module.__new__(lib.nn.Module).register_buffer(
        "a", None
    ),
    "dot": lambda lib: lib.Net().register_parameter("a.b", None),
    "empty": lambda lib: lib.Net().register_buffer("", None),
    "no string": lambda lib: lib.Net().add_module(3, lib.Wordy()),
    "taken by a method": lambda lib: lib.Net().register_parameter("forward", None),
    "taken by another kind": lambda lib: lib.Net().register_buffer("first", None),
    "tensor as parameter": lambda lib: lib.Net().register_parameter(
        "p", lib.tensor(np.zeros(1, np.float32))
    ),
    "number as buffer": lambda lib: lib.Net().register_buffer("b", 3),
    "number as module": lambda lib: lib.Net().register_module("m", 3),
    "number over parameter": lambda lib: setattr(lib.Net(), "own", 3),
    "tensor over parameter": lambda lib: setattr(
        lib.Net(), "own", lib.tensor(np.zeros(1, np.float32))
    ),
    "number over module": lambda lib: setattr(lib.Net(), "first", 3),
    "number over buffer": lambda lib: setattr(lib.Norm(2), "mean", 3),
    "get": lambda lib: lib.Net().nothing_here,
    "delete": lambda lib: delattr(lib.Net(), "nothing_here"),
    "no such submodule": lambda lib: lib.Net().get_submodule("first.zzz"),
    "not a submodule": lambda lib: lib.Net().get_submodule("own"),
    "not a parameter": lambda lib: lib.Net().get_parameter("first"),
    "no such buffer": lambda lib: lib.Net().get_buffer("norm.zzz"),
    "training is not a bool": lambda lib: lib.Net().train(3),
    "no forward": lambda lib: lib.Wordy()(lib.tensor(np.zeros(1, np.float32))),
    "integers": lambda lib: lib.Net().to(lib.tensor(np.zeros(1, np.int32)).dtype),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_raise_what_pytorch_raises(mistake: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - its type is what is asked
        mistake(BOTH[1])
    builtin = next(t for t in theirs.type.__mro__ if t.__module__ == "builtins")
    with pytest.raises(builtin):
        mistake(OURS)


def test_errors_are_numbanets_and_say_which_name() -> None:
    with pytest.raises(MemberError, match=r"no dot, got 'a\.b'"):
        OURS.Net().register_parameter("a.b", None)
    assert issubclass(MemberError, NumbanetError)
    with pytest.raises(TypeError, match="'own'"):
        OURS.Net().own = 3


def test_layers_are_not_silently_left_out() -> None:
    with pytest.raises(NotImplementedError, match="Dense"):
        OURS.Net().dense = Dense(3)


@pytest.mark.parametrize(
    "name", ["name", "label", "record", "build", "variables", "parameter", "submodules"]
)
def test_names_of_the_machinery_are_free(name: str) -> None:
    net = OURS.Net()
    linear = OURS.Linear(4, 4)
    setattr(net, name, linear)
    assert getattr(net, name) is linear
    assert name in dict(net.named_children())
    other = OURS.Wordy()
    other.add_module(name, linear)
    assert getattr(other, name) is linear
    setattr(OURS.Wordy(), name, "anything")


# Modes and gradients.


def test_train_and_eval_reach_all_modules() -> None:
    net = OURS.Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())


def test_requires_grad_and_trainable_agree() -> None:
    net = OURS.Net()
    assert net.trainable
    net.requires_grad_(False)
    assert not net.trainable
    assert net.trainable_variables() == {}
    net.trainable = True
    assert all(p.requires_grad for p in net.parameters())
    net.first.bias.requires_grad = False
    assert "first/bias" not in net.trainable_variables()
    assert "first/weight" in net.trainable_variables()


def test_variables_are_those_of_parameters_and_buffers() -> None:
    net = OURS.Net()
    assert list(net.variables()) == [
        "own",
        "first/weight",
        "first/bias",
        "norm/mean",
        "norm/count",
        "norm/cache",
        "branch/0/weight",
        "branch/0/bias",
        "branch/1/0/mean",
        "branch/1/0/count",
        "branch/1/0/cache",
    ]
    assert net.variables()["own"] is net.own.variable
    assert net.count_params() == 4 + 12 + 4 + 7 + 16 + 4 + 7


def test_zero_grad() -> None:
    linear = OURS.Linear(2, 2)
    linear.weight.grad = Tensor.wrap(np.ones((2, 2), np.float32))
    linear.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(linear.weight.grad.array(), np.zeros((2, 2)))
    assert linear.bias.grad is None
    linear.zero_grad()
    assert linear.weight.grad is None


# Element types.


def test_conversion_keeps_the_parameters_and_their_layout() -> None:
    norm = OURS.Norm(2)
    numbers = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    norm.kernel = nn.Parameter(numbers, layout=(0, 2, 3, 1))
    norm.kernel.grad = Tensor.wrap(numbers)
    kernel = norm.kernel
    assert norm.double() is norm
    assert norm.kernel is kernel
    assert kernel.dtype is DType.FLOAT64
    assert kernel.grad.dtype is DType.FLOAT64
    assert kernel.variable.type.shape == (1, 3, 4, 2)
    np.testing.assert_array_equal(kernel.array(), numbers)
    assert norm.mean.dtype is DType.FLOAT64
    assert norm.count.dtype is DType.INT64
    assert norm.float().mean.dtype is DType.FLOAT32
    assert norm.to("float64").mean.dtype is DType.FLOAT64
    assert norm.to(zeros(1)).mean.dtype is DType.FLOAT32


def test_conversion_refuses_what_there_is_not() -> None:
    net = OURS.Net()
    for convert in (net.half, net.bfloat16, lambda: net.to("meta"), lambda: net.to("xpu:1")):
        with pytest.raises(NotImplementedError):
            convert()
    with pytest.raises(NotImplementedError, match="memory_format"):
        net.to(memory_format="channels_last")
    with pytest.raises(DTypeError):
        net.type("int64")
    assert net.to(net.own.device) is net
    assert net.to(net.own.device, "float32", non_blocking=True).own.dtype is DType.FLOAT32


# Calls and hooks.


class Scale(nn.Module):
    """Multiplies host arrays: what hooks do needs no tensors."""

    def forward(self, x: float, factor: float = 2.0) -> float:
        return x * factor


def test_hooks_see_and_change_arguments_and_output() -> None:
    module, seen = Scale(), []
    before = module.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    after = module.register_forward_hook(lambda m, args, out: seen.append((m, args, out)))
    assert module(1.0) == 4.0
    assert seen == [(module, (2.0,), 4.0)]
    before.remove()
    after.remove()
    after.remove()
    assert module(1.0) == 2.0
    assert len(seen) == 1


def test_hooks_with_keyword_arguments_and_in_order() -> None:
    module = Scale()
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"factor": kwargs["factor"] + 1}), with_kwargs=True
    )
    module.register_forward_hook(
        lambda m, args, kwargs, out: out + kwargs["factor"], with_kwargs=True
    )
    with module.register_forward_hook(lambda m, args, out: -out, prepend=True):
        assert module(2.0, factor=3.0) == -8.0 + 4.0
    assert module(2.0, factor=3.0) == 8.0 + 4.0


def test_a_single_value_of_a_pre_hook_is_the_argument() -> None:
    module = Scale()
    module.register_forward_pre_hook(lambda m, args: 10.0)
    assert module(1.0) == 20.0


def test_hooks_that_there_are_not() -> None:
    module = Scale()
    with pytest.raises(NotImplementedError, match="always_call"):
        module.register_forward_hook(print, always_call=True)


def test_a_hook_reads_an_intermediate_tensor() -> None:
    net, seen = OURS.Net(), []
    net.first.register_forward_hook(lambda m, args, out: seen.append(out))
    x = np.ones((2, 3), np.float32)
    out = net(Tensor.wrap(x))
    first = x @ net.first.weight.array().T + 1
    np.testing.assert_allclose(seen[0].array(), first, rtol=1e-6)
    expected = first @ net.branch[0].weight.array().T + 1
    np.testing.assert_allclose(out.array(), expected, rtol=1e-6)


# In a model of symbolic values.


def test_a_module_is_a_layer_of_a_model() -> None:
    net = OURS.Net()
    x = Input((3,))
    y = net(x)
    assert isinstance(y, Value)
    assert y.path == "net/0"
    model = Model(x, y)
    assert list(model.variables()) == [f"net/{path}" for path in net.variables()]
    data = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = net(Tensor.wrap(data)).array()
    np.testing.assert_allclose(model.predict(data), expected, rtol=1e-5)


def test_a_model_trains_a_module_and_leaves_what_is_frozen() -> None:
    net = OURS.Net()
    net.branch.requires_grad_(False)
    before = {name: each.array().copy() for name, each in net.state_dict().items()}
    x = Input((3,))
    model = Model(x, net(x))
    with lint.ignore("NB106"):  # nothing uses net.own
        model.compile("sgd", "mse")
        model.fit(np.ones((4, 3), np.float32), np.zeros((4, 4), np.float32), verbose=0)
    after = {name: each.array() for name, each in net.state_dict().items()}
    assert not np.array_equal(before["first.weight"], after["first.weight"])
    np.testing.assert_array_equal(before["branch.0.weight"], after["branch.0.weight"])


def test_a_parameter_frozen_between_fits_stays_as_it_is() -> None:
    linear = OURS.Linear(3, 4)
    x = Input((3,))
    model = Model(x, linear(x))
    model.compile("sgd", "mse")
    data = np.ones((4, 3), np.float32), np.zeros((4, 4), np.float32)
    model.fit(*data, verbose=0)
    linear.bias.requires_grad = False
    bias, weight = linear.bias.array().copy(), linear.weight.array().copy()
    model.fit(*data, verbose=0)
    np.testing.assert_array_equal(linear.bias.array(), bias)
    assert not np.array_equal(linear.weight.array(), weight)


def test_buffers_get_variables_and_keep_their_numbers() -> None:
    norm = OURS.Norm(2)
    assert norm.mean.variable.name == "mean"
    norm.mean = Tensor.wrap(np.ones(2, np.float32))
    assert norm.mean.variable is None  # Data of each step, not state.
    assert "mean" in norm.state_dict()


def test_buffers_that_are_attributes() -> None:
    def state(lib: Any) -> list[list[str]]:
        module, states = lib.nn.Module(), []
        for persistent in (True, False):
            data = lib.tensor(np.zeros(2, np.float32))
            module.own = lib.nn.Buffer(data, persistent=persistent)
            states.append([*module.state_dict(), *(n for n, _ in module.named_buffers())])
        module.own = lib.tensor(np.ones(2, np.float32))
        return [*states, list(module.state_dict())]

    assert state(OURS) == state(BOTH[1]) == [["own", "own"], ["own"], []]


def test_a_layer_may_hold_modules() -> None:
    class Block(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = OURS.Linear(3, 2)

        def forward(self, x: Value) -> Value:
            return self.inner(x)

    block = Block()
    block(Input((3,)))
    assert list(block.variables()) == ["inner/weight", "inner/bias"]


def test_lists_of_modules_name_their_elements() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList([OURS.Linear(3, 3)])

        def forward(self, x: Tensor) -> Tensor:
            return self.parts[0](x)

    assert Stack()(Input((3,))).path == "stack/parts_0"


def test_an_output_that_is_no_part_of_the_graph_is_refused() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return zeros(2)

    with pytest.raises(GraphError, match="no part"):
        Constant()(Input((3,)))


# Copies.


def test_deep_copies_have_parameters_of_their_own() -> None:
    net = OURS.Net()
    twin = copy.deepcopy(net)
    assert twin.shared is twin.first
    assert twin.first is not net.first
    nn.init.zeros_(twin.first.weight)
    assert net.first.weight.array().any()
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in net.named_parameters()]
    assert isinstance(twin.first.weight, nn.Parameter)
    assert twin.first.weight.requires_grad


def test_deep_copies_keep_layouts() -> None:
    module = nn.Module()
    numbers = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    module.kernel = nn.Parameter(numbers, layout=(0, 2, 3, 1))
    twin = copy.deepcopy(module)
    np.testing.assert_array_equal(twin.kernel.array(), numbers)
    assert twin.kernel.variable.type.shape == (1, 3, 4, 2)
    assert twin.kernel.layout == (0, 2, 3, 1)


def test_shallow_copies_share_members_and_take_new_ones() -> None:
    net = OURS.Net()
    twin = copy.copy(net)
    assert twin.first.weight is net.first.weight
    twin.more = OURS.Wordy()
    assert "more" in dict(twin.named_children())
    assert "more" not in dict(net.named_children())
    assert not hasattr(net, "more")


# Printing.


def _with_hole(lib: Any) -> Any:
    module = lib.nn.Module()
    module.register_module("hole", None)
    module.inner = lib.Linear(1, 2)
    return module


PRINTED = {
    "leaf": lambda lib: lib.Linear(2, 3),
    "nothing to say": lambda lib: lib.Norm(2),
    "two lines": lambda lib: lib.Wordy(),
    "nested": lambda lib: lib.Net(),
    "hole": _with_hole,
}


@pytest.mark.parametrize("make", PRINTED.values(), ids=PRINTED)
def test_modules_print_as_pytorch_prints_them(make: Callable[[Any], Any]) -> None:
    alike(make)


def test_parameters_print_as_pytorch_prints_them() -> None:
    alike(lambda lib: lib.Linear(2, 3).weight)
    alike(lambda lib: lib.Linear(2, 3).requires_grad_(False).bias)


# Lazy modules.


class Plain(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(zeros(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        return x


class Lazy(nn.LazyModuleMixin, Plain):
    cls_to_become = Plain

    def __init__(self, outputs: int) -> None:
        super().__init__(0, outputs)
        self.outputs = outputs
        self.weight = nn.UninitializedParameter()
        self.inputs = 0
        self.seen = nn.UninitializedBuffer("int64", persistent=False)

    def initialize_parameters(self, x: Tensor) -> None:
        self.inputs = x.shape[-1]
        self.seen.materialize((self.inputs,))
        if self.has_uninitialized_params():
            self.weight.materialize((self.outputs, self.inputs))
            nn.init.ones_(self.weight)


def test_a_lazy_module_becomes_its_plain_class() -> None:
    lazy = Lazy(2)
    weight = lazy.weight
    assert list(lazy.parameters()) == [weight]
    with pytest.raises(ArgumentError, match="before it is initialised"):
        print(weight.shape)
    with pytest.raises(ArgumentError, match="before it is initialised"):
        weight.array()
    lazy.double()
    lazy(zeros(5, 3))
    assert type(lazy) is Plain
    assert lazy.weight is weight
    assert type(weight) is nn.Parameter
    assert type(lazy.seen) is nn.Buffer
    assert lazy.seen.dtype is DType.INT64
    assert [*lazy.state_dict(), *(n for n, _ in lazy.named_buffers())] == ["weight", "seen"]
    np.testing.assert_array_equal(weight.array(), np.ones((2, 3), np.float64))
    assert weight.dtype is DType.FLOAT64


def test_a_lazy_module_in_a_model() -> None:
    lazy = Lazy(2)
    lazy(Input((3,)))
    assert type(lazy) is Plain
    assert lazy.weight.shape == (2, 3)


def test_a_lazy_module_copied_or_loaded_before_its_first_call() -> None:
    lazy = Lazy(2)
    assert type(copy.deepcopy(lazy).weight) is nn.UninitializedParameter
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    lazy.load_state_dict({"weight": numbers})
    lazy(zeros(5, 3))
    assert type(lazy) is Plain
    assert lazy.inputs == 3
    np.testing.assert_array_equal(lazy.weight.array(), numbers)


LAZY: list[tuple[str, tuple[Any, ...], tuple[int, ...]]] = [
    ("Linear", (6, 4), (2, 6)),
    ("Conv2d", (6, 4, 3), (1, 6, 5, 5)),
    ("BatchNorm1d", (6,), (3, 6)),
]


@pytest.mark.parametrize(("name", "arguments", "shape"), LAZY)
def test_a_loaded_lazy_module_learns_its_sizes(
    name: str, arguments: tuple[Any, ...], shape: tuple[int, ...]
) -> None:
    plain = getattr(nn, name)(*arguments)
    lazy = getattr(nn, f"Lazy{name}")(*arguments[1:])
    lazy.load_state_dict(plain.state_dict())
    lazy(zeros(*shape))
    assert repr(lazy) == repr(plain)
    for name, tensor in plain.state_dict().items():
        if "running" not in name and "tracked" not in name:
            np.testing.assert_array_equal(lazy.state_dict()[name].array(), tensor.array())


def test_a_lazy_module_that_leaves_a_parameter_out_is_refused() -> None:
    class Forgetful(Lazy):
        def initialize_parameters(self, x: Tensor) -> None:
            pass

    with pytest.raises(ArgumentError, match="left parameters"):
        Forgetful(2)(zeros(5, 3))
