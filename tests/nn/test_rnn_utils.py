"""Sequences of different lengths, beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import numbanet as nb
from numbanet import nn
from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn.utils import rnn
from tests.nn.parity import close, leaves

torch = pytest.importorskip("torch")
theirs = torch.nn.utils.rnn

RNG = np.random.default_rng(0)
LENGTHS = [2, 4, 1]
PADDED = RNG.normal(size=(4, 3, 2)).astype(np.float32)


def both(make):
    """``make(library, rnn)`` with our names and with PyTorch's."""
    return make(nb, rnn), make(torch, theirs)


def same(make, tolerance=1e-6):
    ours, expected = (list(leaves(each)) for each in both(make))
    assert len(ours) == len(expected)
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype.value == str(b.dtype).removeprefix("torch.")
        close(a.array(), b.detach().numpy(), tolerance, "result")


def packed(lib, rnn, **arguments):
    given = {"enforce_sorted": False, **arguments}
    return rnn.pack_padded_sequence(lib.tensor(PADDED), lib.tensor(LENGTHS), **given)


def fields(packed):
    names = ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
    return [getattr(packed, name) for name in names]


CASES = [
    ("pack", lambda lib, rnn: fields(packed(lib, rnn))),
    (
        "pack sorted",
        lambda lib, rnn: fields(rnn.pack_padded_sequence(lib.tensor(PADDED), [3, 3, 1])),
    ),
    (
        "pack batch_first",
        lambda lib, rnn: fields(
            rnn.pack_padded_sequence(
                lib.tensor(PADDED), [1, 1, 3, 2], batch_first=True, enforce_sorted=False
            )
        ),
    ),
    ("pad", lambda lib, rnn: rnn.pad_packed_sequence(packed(lib, rnn))),
    (
        "pad further",
        lambda lib, rnn: rnn.pad_packed_sequence(
            packed(lib, rnn), batch_first=True, padding_value=-1.5, total_length=6
        ),
    ),
    (
        "made by hand",
        lambda lib, rnn: rnn.pad_packed_sequence(rnn.PackedSequence(*fields(packed(lib, rnn)))),
    ),
    (
        "made by hand, sorted",
        lambda lib, rnn: rnn.pad_packed_sequence(
            rnn.PackedSequence(*fields(packed(lib, rnn))[:2]), batch_first=True
        ),
    ),
    ("unpack", lambda lib, rnn: rnn.unpack_sequence(packed(lib, rnn))),
    (
        "pack_sequence",
        lambda lib, rnn: fields(
            rnn.pack_sequence([lib.tensor(PADDED[:n, 0]) for n in (4, 2, 1)])
        ),
    ),
    *(
        (
            f"pad_sequence {batch_first} {side} {moves}",
            lambda lib, rnn, batch_first=batch_first, side=side, moves=moves: rnn.pad_sequence(
                [lib.tensor(PADDED[:n, 0], requires_grad=moves) for n in LENGTHS],
                batch_first=batch_first,
                padding_value=7.0,
                padding_side=side,
            ),
        )
        for batch_first, side, moves in (
            (False, "right", False),
            (True, "left", False),
            (True, "right", True),
            (False, "left", True),
        )
    ),
]


@pytest.mark.parametrize("make", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_sequences_are_pytorchs(make) -> None:
    same(make)


NETWORKS = [
    ("RNN", {"bidirectional": True, "batch_first": True}, False),
    ("LSTM", {"num_layers": 2, "proj_size": 2}, True),
]


@pytest.mark.parametrize(("name", "arguments", "has_states"), NETWORKS)
def test_networks_end_where_each_sequence_ends(name, arguments, has_states) -> None:
    peer = getattr(torch.nn, name)(2, 3, **arguments)
    module = getattr(nn, name)(2, 3, **arguments)
    module.load_state_dict(peer.state_dict())
    sizes = (peer.proj_size or 3, 3)[: 2 if name == "LSTM" else 1]
    count = peer.num_layers * (2 if peer.bidirectional else 1)
    states = [RNG.normal(size=(count, 3, size)).astype(np.float32) for size in sizes]

    def run(lib, rnn):
        x = lib.tensor(PADDED, requires_grad=True)
        given = rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
        hx = tuple(lib.tensor(each) for each in states)
        network = module if lib is nb else peer
        output, last = network(
            given, None if not has_states else hx if name == "LSTM" else hx[0]
        )
        padded, lengths = rnn.pad_packed_sequence(output)
        last = last if isinstance(last, tuple) else (last,)
        loss = (padded * padded).sum()
        for each in last:
            loss = loss + each.sum()
        loss.backward()
        gradients = [x.grad, *(each.grad for each in network.parameters())]
        return padded, lengths, last, output.data, gradients

    same(run, 1e-5)


REFUSED = [
    (lambda x: rnn.pack_padded_sequence(x, [1, 2, 3]), ArgumentError, "decrease"),
    (lambda x: rnn.pack_padded_sequence(x, [3, 2, 0]), ArgumentError, "has elements"),
    (lambda x: rnn.pack_padded_sequence(x, [5, 2, 1]), ShapeError, "each sequence"),
    (lambda x: rnn.pack_padded_sequence(x, [2, 1]), ShapeError, "each sequence"),
    (lambda x: rnn.pad_sequence([]), ShapeError, "none"),
    (lambda x: rnn.pad_sequence([x, x[0]]), ShapeError, "length only"),
    (lambda x: rnn.pad_sequence([x], padding_side="top"), ArgumentError, "padding_side"),
    (
        lambda x: rnn.pad_packed_sequence(packed(nb, rnn), total_length=3),
        ArgumentError,
        "total_length",
    ),
    (lambda x: nn.GRUCell(2, 3)(packed(nb, rnn)), TypeError, "packed"),
]


@pytest.mark.parametrize(("use", "kind", "text"), REFUSED)
def test_what_cannot_be_packed_is_refused(use, kind, text) -> None:
    with pytest.raises(kind, match=text):
        use(nb.tensor(PADDED))


def test_packed_sequences_print() -> None:
    ours, expected = both(lambda lib, rnn: repr(packed(lib, rnn)))
    assert "".join(ours.split()) == "".join(expected.split())


def test_padding_gets_no_gradient_and_its_numbers_do_not_matter() -> None:
    module = nn.LSTM(2, 3)
    results = []
    for filling in (0.0, np.nan):
        array = PADDED.copy()
        for place, length in enumerate(LENGTHS):
            array[length:, place] = filling
        x = nb.tensor(array, requires_grad=True)
        output, (hidden, _) = module(rnn.pack_padded_sequence(x, LENGTHS, False, False))
        (output.data.sum() + hidden.sum()).backward()
        assert x.grad is not None
        assert not x.grad.array()[2:, 0].any()
        results.append(output.data.detach().numpy())
    np.testing.assert_array_equal(*results)
