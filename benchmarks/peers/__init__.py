"""The frameworks that are measured, each a function from a task to a session.

Modules are imported by name in a process of their own: two frameworks in one process would
fight over the cores with their thread pools.
"""

from benchmarks.workloads import Workload

PEERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "numbanet": ("benchmarks.peers.with_numbanet", "open_steps", ("cpu", "cuda")),
    "torch": ("benchmarks.peers.with_torch", "open_eager", ("cpu", "cuda")),
    "torch.compile": ("benchmarks.peers.with_torch", "open_compiled", ("cpu", "cuda")),
    "torch.cuda.graph": ("benchmarks.peers.with_torch", "open_captured", ("cuda",)),
    "jax.jit": ("benchmarks.peers.with_jax", "open_jit", ("cpu", "cuda")),
    "jax.scan": ("benchmarks.peers.with_jax", "open_scan", ("cpu", "cuda")),
}
"""Name: module, function, devices."""


def can_run(peer: str, workload: Workload) -> bool:
    """Scans and captured steps are ways to train; a prediction is one call."""
    return workload.kind == "train" or peer not in ("jax.scan", "torch.cuda.graph")
