"""What a GPU reaches: PyTorch's product of large matrices, and its copy of a long tensor."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.machine import quickest
from benchmarks.peers.with_torch.steps import require_float32, synchronise


def measure(device: str, size: int = 8192, megabytes: int = 1024) -> dict[str, object]:
    require_float32()
    a = torch.randn(size, size, device=device)
    c = torch.empty_like(a)
    source = torch.ones(megabytes << 18, device=device)
    target = torch.empty_like(source)

    def finished(action: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            action()
            synchronise(torch.device(device))

        return run

    product = quickest(finished(lambda: torch.matmul(a, a, out=c)), 8)
    copy = quickest(finished(lambda: target.copy_(source)), 8)
    return {
        "flops": 2 * size**3 / product,
        "bandwidth": 2 * source.numel() * source.element_size() / copy,
        "source": f"PyTorch's product at {size} and its copy of {megabytes} MiB",
    }
