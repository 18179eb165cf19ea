"""What a call takes of a GPU, roughly: enough to say what gains from running side by side.

The figures are an H200's, for every GPU: so one model has one plan everywhere.
"""

from __future__ import annotations

from numbanet.kernels.kernel import Call, Cost

BYTES, FLOPS = 3e12, 1.5e13
"""What a GPU moves and computes in a second."""

_LAUNCH = 1.5e-6
"""Seconds from the end of one call to the end of the next that does nothing."""
_BUSY = 132 * 256
"""Threads that keep all multiprocessors busy."""


def work(call: Call) -> float:
    """Seconds that a GPU needs for what ``call`` moves and computes, if all of it is busy."""
    return max(call.nbytes / BYTES, call.flops / FLOPS)


def cost(call: Call) -> Cost:
    """What ``call`` takes when it runs alone."""
    share = min(1.0, call.tiles * call.kernel.threads / _BUSY)
    return Cost(_LAUNCH + work(call) / share, share)
