"""Which launches are worth the meeting of several threads."""

from __future__ import annotations

from numbanet.plan.program import Launch

# What one thread does. Plain copies in cache are several times faster, exponentials slower: a
# launch that is shared a little too early costs less than one that is shared too late.
_BYTES_PER_NS = 16.0
_FLOPS_PER_NS = 40.0

_MEETING_NS = 2500.0
"""What sharing a launch costs: claims, and reading what another core has in its cache. It is
in the terms of the above, which kernels whose operands are in the cache surpass threefold."""


def is_worth_sharing(launch: Launch, threads: int) -> bool:
    """Whether ``threads`` threads do this launch sooner than one does.

    A launch that does not say how much work it is counts as large.
    """
    workers = min(threads, launch.tiles)
    if workers < 2:
        return False
    if not launch.nbytes and not launch.flops:
        return True
    alone = max(launch.nbytes / _BYTES_PER_NS, launch.flops / _FLOPS_PER_NS)
    return alone * (1 - 1 / workers) > _MEETING_NS
