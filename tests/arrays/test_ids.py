"""Ids are found where they are fed and checked against what they index."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.arrays.ids import Limit, check_ids, id_limits
from numbanet.errors import DataError
from numbanet.ir import DType
from numbanet.ops.leaf import input_value

IDS = input_value("ids", (4,), DType.INT64)
LOGITS = input_value("logits", (4, 5))


def limits(value):
    return id_limits({"ids": IDS, "logits": LOGITS}, [value])


@pytest.mark.parametrize(
    "use",
    [
        lambda: ops.take(input_value("table", (5, 2)), IDS),
        lambda: ops.take(input_value("table", (5, 2)), ops.reshape(IDS, (2, 2))),
        lambda: ops.cross_entropy(LOGITS, IDS),
        lambda: ops.nll(LOGITS, IDS),
        lambda: ops.one_hot(IDS, 5),
    ],
    ids=["take", "reshaped", "cross_entropy", "nll", "one_hot"],
)
def test_what_indexes_is_limited(use):
    assert limits(use()) == {"ids": Limit(5)}


def test_the_smallest_of_several_limits_counts():
    both = ops.sum(ops.one_hot(IDS, 7)) + ops.sum(ops.nll(LOGITS, IDS))
    assert limits(both) == {"ids": Limit(5)}


def test_what_is_put_out_of_the_way_may_be_there():
    labels = ops.where(ops.not_equal(IDS, -100), IDS, 0)
    found = limits(ops.cross_entropy(LOGITS, labels))
    assert found == {"ids": Limit(5, -100)}
    check_ids({"ids": np.array([0, -100, 4, 2])}, found)
    with pytest.raises(DataError, match=r"got 5 \.\. 5"):
        check_ids({"ids": np.array([0, -100, 5, 2])}, found)


def test_numbers_that_index_nothing_are_free():
    assert limits(IDS + 1) == {}
    check_ids({"ids": np.array([], np.int64)}, {"ids": Limit(5)})
