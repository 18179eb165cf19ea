"""Blocks in the arena: none that lives beside another overlaps it, and gaps are used."""

import numpy as np

from numbanet.plan.memory import Block, arrange, check


def block(nbytes, start, end):
    made = Block(nbytes)
    made.touch(start)
    made.touch(end)
    return made


def test_a_gap_is_filled():
    first, middle, last = block(64, 0, 9), block(64, 0, 3), block(64, 0, 9)
    late = block(64, 5, 9)
    layout = arrange([first, middle, last, late], 64)
    assert layout.nbytes == layout.lower_bound == 3 * 64
    assert layout.offsets[late] == layout.offsets[middle]


def test_blocks_of_any_lifetimes_do_not_overlap():
    rng = np.random.default_rng(0)
    for _ in range(20):
        starts = rng.integers(0, 30, 40)
        lengths, sizes = rng.integers(0, 30, 40), rng.integers(0, 300, 40)
        blocks = [
            block(int(size), int(start), int(start + length))
            for start, length, size in zip(starts, lengths, sizes, strict=True)
        ]
        layout = arrange(blocks, 64)
        check(layout)
        assert layout.lower_bound <= layout.nbytes <= 1.5 * layout.lower_bound


def test_nothing_to_arrange():
    assert arrange([], 64).nbytes == 0
