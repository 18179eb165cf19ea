"""Recurrent networks: values and gradients of inputs, states and parameters are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import DType
from numbanet.nn import functional
from numbanet.nn.functional.recurrent import recurrent
from numbanet.ops import input_value
from numbanet.tensors.tensor import Tensor
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
T, N, F, H = 4, 2, 3, 5

CASES = [
    ("nn.RNN", {}),
    ("nn.RNN", {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True}),
    ("nn.RNN", {"bias": False, "batch_first": True}),
    ("nn.LSTM", {}),
    ("nn.LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("nn.LSTM", {"num_layers": 2, "bias": False}),
    ("nn.LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    ("nn.LSTM", {"proj_size": 2, "bias": False}),
    ("nn.GRU", {}),
    ("nn.GRU", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("nn.GRU", {"num_layers": 2, "bias": False}),
]
CELLS = [
    ("nn.RNNCell", {}),
    ("nn.RNNCell", {"nonlinearity": "relu", "bias": False}),
    ("nn.LSTMCell", {}),
    ("nn.LSTMCell", {"bias": False}),
    ("nn.GRUCell", {}),
    ("nn.GRUCell", {"bias": False}),
]


def normal(*shape):
    return RNG.normal(size=shape)


def states_of(theirs, *batch):
    """As many states as the network takes, with a batch or without."""
    count = theirs.num_layers * (2 if theirs.bidirectional else 1)
    hidden = normal(count, *batch, theirs.proj_size or theirs.hidden_size)
    if isinstance(theirs, torch.nn.LSTM):
        return [hidden, normal(count, *batch, theirs.hidden_size)]
    return [hidden]


def run_theirs(theirs, names):
    """``theirs`` as a function of the input, its states and its parameters."""

    def call(input, *others):
        states, parameters = others[: -len(names)], others[-len(names) :]
        hx = None if states[0] is None else (states if len(states) == 2 else states[0])
        named = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(
            theirs, named, (input,) if hx is None else (input, hx)
        )

    return call


def run_ours(theirs, names):
    """Our function of the same arguments."""

    def call(input, *others):
        states, parameters = others[: -len(names)], others[-len(names) :]
        named = dict(zip(names, parameters, strict=True))
        weights = []
        for own in theirs._all_weights:
            given = [named[name] for name in own]
            weights.append(given if theirs.bias else [*given[:2], None, None, *given[2:]])
        given = None if states[0] is None else states
        return recurrent(
            theirs.mode,
            input,
            given,
            weights,
            bidirectional=theirs.bidirectional,
            batch_first=theirs.batch_first,
        )

    return call


@pytest.mark.parametrize(
    ("batch", "with_states", "dtype"),
    [((N,), True, "float64"), ((N,), False, "float32"), ((), True, "float64")],
)
@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_sequences(name, options, batch, with_states, dtype):
    theirs = getattr(torch.nn, name[3:])(F, H, **options, dtype=getattr(torch, dtype))
    shape = (*batch, T, F) if theirs.batch_first else (T, *batch, F)
    names = [name for name, _ in theirs.named_parameters()]
    states = states_of(theirs, *batch)
    arrays = [normal(*shape), *(states if with_states else [None] * len(states))]
    arrays += [parameter.detach().numpy() for parameter in theirs.parameters()]
    compare_graphs(run_ours(theirs, names), run_theirs(theirs, names), arrays, dtype)


@pytest.mark.parametrize("steps", [1, 2])
def test_short_sequences(steps):
    for name in ("LSTM", "GRU", "RNN"):
        theirs = getattr(torch.nn, name)(F, H, bidirectional=True, dtype=torch.float64)
        names = [name for name, _ in theirs.named_parameters()]
        arrays = [normal(steps, N, F), *([None] * len(states_of(theirs, N)))]
        arrays += [parameter.detach().numpy() for parameter in theirs.parameters()]
        compare_graphs(run_ours(theirs, names), run_theirs(theirs, names), arrays, "float64")


@pytest.mark.parametrize(("name", "options"), CASES)
def test_modules_have_the_same_parameters(name, options):
    theirs = getattr(torch.nn, name[3:])(F, H, **options)
    ours = getattr(nn, name[3:])(F, H, **options)
    assert repr(ours) == repr(theirs)
    shapes = {key: tuple(each.shape) for key, each in theirs.state_dict().items()}
    assert {key: tuple(each.shape) for key, each in ours.state_dict().items()} == shapes


def test_a_module_run_by_kernels():
    options = {"bidirectional": True, "batch_first": True}
    ours, theirs = (library.LSTM(F, H, **options) for library in (nn, torch.nn))
    compare(ours, theirs, [normal(N, 2, F)])


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("shape", [(N, F), (F,)])
@pytest.mark.parametrize(("name", "options"), CELLS)
def test_cells(name, options, shape, with_state):
    theirs = getattr(torch.nn, name[3:])(F, H, **options, dtype=torch.float64)
    step = getattr(
        functional, STEPS.get(name, f"rnn_{options.get('nonlinearity', 'tanh')}_cell")
    )
    names = [name for name, _ in theirs.named_parameters()]
    count = 2 if name == "nn.LSTMCell" else 1
    states = [normal(*shape[:-1], H) if with_state else None for _ in range(count)]

    def of_states(states):
        return None if states[0] is None else states if count == 2 else states[0]

    def run(x, *others):
        return step(x, of_states(others[:count]), *others[count:])

    def run_torch(x, *others):
        named = dict(zip(names, others[count:], strict=True))
        return torch.func.functional_call(theirs, named, (x, of_states(others[:count])))

    parameters = [parameter.detach().numpy() for parameter in theirs.parameters()]
    compare_graphs(run, run_torch, [normal(*shape), *states, *parameters], "float64")
    assert repr(getattr(nn, name[3:])(F, H, **options)) == repr(theirs)


STEPS = {"nn.LSTMCell": "lstm_cell", "nn.GRUCell": "gru_cell"}


def test_cells_run_by_kernels():
    compare(nn.GRUCell(F, H), torch.nn.GRUCell(F, H), [normal(N, F)])


def test_first_numbers_lie_within_the_bound():
    ours = nn.LSTM(F, 16, num_layers=2)
    for parameter in ours.parameters():
        assert np.abs(parameter.detach().numpy()).max() <= 0.25
        assert np.abs(parameter.detach().numpy()).max() > 0.15


def test_dropout_stands_between_layers():
    """With all of the first layer dropped, the second knows nothing of the input."""
    ours = nn.RNN(F, H, num_layers=2, dropout=1.0)
    first, second = (Tensor.wrap(normal(2, N, F).astype(np.float32)) for _ in "ab")
    outputs = [ours(x)[0].detach().numpy() for x in (first, second)]
    np.testing.assert_array_equal(*outputs)
    ours.eval()
    assert not np.array_equal(ours(first)[0].detach().numpy(), outputs[0])
    with pytest.warns(UserWarning, match="no effect"):
        nn.GRU(F, H, dropout=0.5)


def test_a_batch_of_unknown_size():
    x = input_value("x", (None, T, F))
    weights = [[input_value(n, s) for n, s in (("a", (4 * H, F)), ("b", (4 * H, H)))]]
    output, hidden, cell = recurrent("LSTM", x, None, weights, batch_first=True)
    assert output.shape == (None, T, H)
    assert hidden.shape == cell.shape == (1, None, H)


BAD = [
    (lambda: nn.LSTM(0, 3), ArgumentError, "input_size"),
    (lambda: nn.GRU(3, 3, num_layers=0), ArgumentError, "num_layers"),
    (lambda: nn.GRU(3, 3, proj_size=1), ArgumentError, "proj_size"),
    (lambda: nn.LSTM(3, 3, proj_size=3), ArgumentError, "proj_size"),
    (lambda: nn.RNN(3, 3, nonlinearity="sin"), ArgumentError, "nonlinearity"),
    (lambda: nn.RNN(3, 3, dropout=2.0), ArgumentError, "dropout"),
    (lambda: nn.RNN(3, 3)((1, 2)), TypeError, "packed"),
    (lambda: nn.RNN(3, 3)(Tensor.wrap(np.zeros((2, 1, 4)))), ShapeError, "3 features"),
    (
        lambda: nn.RNN(3, 3)(*(Tensor.wrap(np.zeros((2, 2, 3))) for _ in "ab")),
        ShapeError,
        "a state for each",
    ),
    (
        lambda: recurrent("RNN_TANH", input_value("x", (0, 2, 3)), None, [[W, W]]),
        ShapeError,
        "one at least",
    ),
]
W = input_value("w", (3, 3), DType.FLOAT32)


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
