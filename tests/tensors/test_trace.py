"""Recording, replay, and what runs when somebody looks."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import GraphError, ShapeError
from numbanet.ir import Variable
from numbanet.tensors import functions, tree
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.modes import no_grad
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import ROOT, STATE


@tensor_function
def scale(x, factor):
    return x * factor


@tensor_function
def product(x, w):
    return x * w


@tensor_function
def total(x):
    return ops.sum(x)


@tensor_function
def dropped(x, rate):
    return ops.dropout(x, rate, *ops.random_state())


def parameter(numbers) -> Tensor:
    variable = Variable(np.asarray(numbers, np.float32), "w", trainable=True)
    return Tensor.of_variable(variable, requires_grad=True)


def data(numbers, dtype=np.float32) -> Tensor:
    return Tensor.wrap(np.asarray(numbers, dtype))


def test_numbers_come_when_they_are_read():
    x = data([1, 2, 3])
    y = scale(x, 2.0)
    assert y.numbers is None
    np.testing.assert_array_equal(y.numpy(), [2, 4, 6])


def test_the_second_round_finds_the_record_and_the_program_of_the_first():
    ends = []
    for numbers in ([1, 2, 3], [4, 5, 6]):
        y = total(scale(data(numbers), 3.0))
        trace = STATE.trace
        assert trace is not None
        ends.append((trace.record, len(trace.record.programs)))
        assert y.item() == 3 * sum(numbers)
    assert ends[0][0] is ends[1][0]
    assert ends[1][1] == 1


def test_integers_floats_and_truth_values_are_not_mixed_up():
    x = data([3, 4], np.int64)
    assert scale(x, 2).numpy().dtype == np.int64
    assert scale(x, True).numpy().tolist() == [3, 4]


def test_gradients_add_up_until_they_are_dropped():
    w = parameter([1, 2])
    for expected in ([3, 4], [6, 8]):
        total(product(data([3, 4]), w)).backward()
        assert w.grad is not None
        np.testing.assert_array_equal(w.grad.numpy(), expected)


def test_nothing_is_differentiated_twice_unless_asked():
    w = parameter([1, 2])
    loss = total(product(data([3, 4]), w))
    loss.backward(retain_graph=True)
    loss.backward()
    with pytest.raises(GraphError, match="differentiated before"):
        loss.backward()


def test_no_gradient_goes_through_what_was_computed_without():
    w = parameter([1, 2])
    with no_grad():
        y = product(data([3, 4]), w)
    assert not y.requires_grad
    total(product(y, w)).backward()
    np.testing.assert_array_equal(w.grad.numpy(), [3, 8])


def test_a_call_that_fails_leaves_the_trace_as_it_was():
    x, w = data([1, 2]), parameter([1, 2])
    y = product(x, w)
    bad = data([1, 2, 3])
    with pytest.raises(ShapeError):
        product(bad, y)
    assert bad.trace is None
    np.testing.assert_array_equal(product(bad, data([2, 2, 2])).numpy(), [2, 4, 6])
    np.testing.assert_array_equal(
        y.detach().numpy() if hasattr(y, "detach") else y.array(), [1, 4]
    )


def test_a_loss_read_before_backward_is_still_differentiated():
    w = parameter([1, 2])
    loss = total(product(data([3, 4]), w))
    assert loss.item() == 11
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), [3, 4])


def test_a_result_of_an_earlier_trace_takes_its_graph_along():
    w = parameter([1, 2])
    first = product(data([3, 4]), w)
    assert total(first).item() == 11
    unrelated = scale(data([1, 1]), 5.0)
    assert unrelated.trace is not first.trace
    total(product(unrelated, first)).backward()
    np.testing.assert_array_equal(w.grad.numpy(), [15, 20])


def test_random_numbers_are_the_same_when_a_result_is_computed_again():
    w = parameter(np.ones(64))
    dropped_once = dropped(w, 0.5)
    seen = dropped_once.array().copy()
    total(product(scale(data(np.ones(64)), 1.0), dropped_once)).backward()
    np.testing.assert_array_equal(w.grad.numpy(), seen)


def test_each_round_draws_anew_and_each_draw_differs():
    x = data(np.ones(256))
    rounds = []
    for _ in range(2):
        a, b = dropped(x, 0.5), dropped(x, 0.5)
        rounds += [a.numpy(), b.numpy()]
    for i, one in enumerate(rounds):
        for other in rounds[i + 1 :]:
            assert (one != other).any()


def test_a_variable_changed_between_forward_and_backward_is_an_error():
    w = parameter([1, 2])
    v = parameter([1, 1])
    loss = total(product(product(data([3, 4]), w), v))
    w.variable.assign([5, 6])
    with pytest.raises(GraphError, match="was changed"):
        loss.backward()


def test_in_place_changes_are_seen_by_all_who_show_the_variable():
    w = parameter([1, 2])
    with no_grad():
        w._replace(scale(w, 10.0))
    alias = w.data
    np.testing.assert_array_equal(alias.numpy(), [10, 20])
    total(product(data([3, 4]), w)).backward()
    np.testing.assert_array_equal(w.grad.numpy(), [3, 4])


def test_a_leaf_changed_in_place_keeps_what_was_recorded_from_it():
    x = data([1, 2])
    y = scale(x, 2.0)
    x._replace(data([5, 5]))
    np.testing.assert_array_equal(y.numpy(), [2, 4])
    np.testing.assert_array_equal(scale(x, 2.0).numpy(), [10, 10])


def test_a_loop_without_gradients_that_reads_nothing_does_not_pile_up(monkeypatch):
    # Longer sequences of these calls, which other tests made, would come again.
    monkeypatch.setattr(ROOT, "following", {})
    monkeypatch.setattr(ROOT, "ways", {})
    sums = []
    with no_grad():
        for i in range(5):
            sums.append(total(scale(data([i, i]), 2.0)))
            assert STATE.trace.count <= 4
    assert [each.item() for each in sums] == [0, 4, 8, 12, 16]


def records() -> int:
    return len(tree._records())


def test_numbers_that_change_become_data():
    def compute(factor):
        y = functions.add(functions.mul(data([1, 2]), factor), 2 * factor)
        np.testing.assert_allclose(y.numpy(), [3 * factor, 4 * factor], rtol=1e-6)
        assert y.dtype.value == "float32"

    for factor in (1.5, 2.5, 3.5):
        compute(factor)
    before = records()
    for factor in (4.5, 5, 1e39, -0.1):
        compute(factor) if factor != 1e39 else functions.mul(data([1, 2]), factor).numpy()
    assert records() == before


def test_numbers_beside_integers_stay_what_they_are():
    x = data([1, 2], np.int32)
    for factor in (0.5, 1.5, 2.5, 3.5, 4.5):
        y = functions.mul(x, factor)
        assert y.dtype.value == "float32"
        np.testing.assert_array_equal(y.numpy(), [factor, 2 * factor])
    for factor in (2, 3, 4, 5, 6):
        assert functions.mul(x, factor).dtype.value == "int32"


def test_the_tree_drops_what_was_not_used_for_long(monkeypatch):
    # A long trace that another test left behind would be kept whole, beyond the limit.
    monkeypatch.setattr(ROOT, "following", {})
    monkeypatch.setattr(ROOT, "ways", {})
    monkeypatch.setattr(tree._Size, "now", 0)
    limit = 60
    monkeypatch.setattr(tree._Size, "most", limit)
    monkeypatch.setattr(tree, "LIMIT", limit)
    kept = scale(data([1, 2, 3]), 2.0)
    for i in range(120):
        x = data([1.0, i])
        for _ in range(2):
            x = scale(x, float(1000 + i))
        assert records() <= limit + 1
        if i % 10 == 0:
            np.testing.assert_allclose(x.numpy(), [(1000 + i) ** 2, i * (1000 + i) ** 2])
    assert records() > limit / 4
    np.testing.assert_array_equal(kept.numpy(), [2, 4, 6])


def test_a_trace_longer_than_the_tree_goes_on(monkeypatch):
    monkeypatch.setattr(tree._Size, "most", 10)
    monkeypatch.setattr(tree, "LIMIT", 10)
    for _ in range(2):
        x = data([1.0, 2.0])
        for i in range(30):
            x = scale(x, 1.0 + i % 2)
        np.testing.assert_array_equal(x.numpy(), [2**15, 2**16])


def test_no_gradient_is_known_of_what_only_detached_values_lead_to():
    w, v = parameter([1, 2]), parameter([3, 4])
    hidden = scale(product(data([1, 1]), w), 2.0)
    total(product(hidden.detach(), v)).backward()
    assert w.grad is None
    total(product(hidden, v)).backward()
    np.testing.assert_array_equal(w.grad.numpy(), [6, 8])
