"""The order of samples in each epoch."""

from __future__ import annotations

import numpy as np


def epoch_order(samples: int, *, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
    """A permutation of ``0 .. samples - 1`` as int64, a function of its arguments only.

    So training that resumes at an epoch sees the order it would have seen.
    """
    if not shuffle:
        return np.arange(samples, dtype=np.int64)
    return np.random.default_rng([seed, epoch]).permutation(samples).astype(np.int64)
