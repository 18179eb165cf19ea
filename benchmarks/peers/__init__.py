"""The frameworks that are measured: for each kind of workload a function from task to session.

Modules are imported by name in a process of their own: two frameworks in one process would
fight over the cores with their thread pools.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT = Path(tempfile.gettempdir()) / "numbanet-benchmarks"
"""A folder for caches that outlive a process."""


@dataclass(frozen=True)
class Peer:
    """A way to use a framework.

    Attributes
    ----------
    packages : tuple of str
        What must be installed; the first one's version is reported.
    opens : dict of str to str
        By kind of workload: module and function below this package. None for install size.
    devices : tuple of str
    environment : dict of str to str
        Of its process; ``{empty}`` is a new empty folder, ``{kept}`` one that is kept.
    """

    packages: tuple[str, ...]
    opens: Mapping[str, str]
    devices: tuple[str, ...] = ("cpu", "cuda")
    environment: Mapping[str, str] = field(default_factory=dict)

    def is_installed(self) -> bool:
        return all(importlib.util.find_spec(package) for package in self.packages)

    def version(self) -> str:
        package = self.packages[0]
        return f"{package} {importlib.import_module(package).__version__}"

    def opener(self, kind: str) -> Callable[..., Any]:
        module, function = self.opens[kind].split(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), function)


_OURS = {
    "train": "with_numbanet.steps:open_training",
    "memory": "with_numbanet.steps:open_training",
    "cold": "with_numbanet.steps:open_training",
    "predict": "with_numbanet.steps:open_prediction",
    "epoch": "with_numbanet.steps:open_fit",
    "install": "",
    "rows": "with_numbanet.operations:open_operation",
    "product": "with_numbanet.operations:open_operation",
}
_TORCH = {
    "train": "with_torch.steps:open_eager",
    "memory": "with_torch.steps:open_eager",
    "cold": "with_torch.steps:open_eager",
    "predict": "with_torch.steps:open_prediction",
    "install": "",
    "rows": "with_torch.operations:open_eager",
    "product": "with_torch.operations:open_eager",
}
_COMPILED = {
    "train": "with_torch.steps:open_compiled",
    "memory": "with_torch.steps:open_compiled",
    "predict": "with_torch.steps:open_compiled_prediction",
    "rows": "with_torch.operations:open_compiled",
}
_JIT = {
    "train": "with_jax.steps:open_jit",
    "memory": "with_jax.steps:open_jit",
    "cold": "with_jax.steps:open_jit",
    "predict": "with_jax.steps:open_prediction",
    "epoch": "with_jax.epochs:open_jit",
    "install": "",
    "rows": "with_jax.operations:open_jit",
    "product": "with_jax.operations:open_jit",
}
_SCAN = {
    "train": "with_jax.steps:open_scan",
    "epoch": "with_jax.epochs:open_scan",
}

# JAX would take three quarters of a GPU's memory, and several processes share the GPU.
_SHARING = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
_CACHING = {
    "JAX_COMPILATION_CACHE_DIR": "{kept}/jax",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}

PEERS: dict[str, Peer] = {
    "numbanet": Peer(("numbanet",), _OURS),
    "numbanet.loop": Peer(("numbanet",), {"train": "with_numbanet.loops:open_loop"}),
    "numbanet.empty": Peer(
        ("numbanet",), {"cold": _OURS["cold"]}, environment={"NUMBANET_CACHE_DIR": "{empty}"}
    ),
    "numpy": Peer(("numpy",), {"product": "with_numpy:open_product"}, ("cpu",)),
    "torch": Peer(("torch",), _TORCH),
    "torch.compile": Peer(("torch",), _COMPILED),
    "torch.cuda.graph": Peer(
        ("torch",), {"train": "with_torch.steps:open_captured"}, ("cuda",)
    ),
    "torch.loader": Peer(("torch", "tqdm"), {"epoch": "with_torch.epochs:open_loader"}),
    "torch.tensors": Peer(("torch", "tqdm"), {"epoch": "with_torch.epochs:open_tensors"}),
    "jax.jit": Peer(("jax",), _JIT, environment=_SHARING),
    "jax.scan": Peer(("jax",), _SCAN, environment=_SHARING),
    "jax.cached": Peer(("jax",), {"cold": _JIT["cold"]}, environment=_SHARING | _CACHING),
    "keras.torch": Peer(
        ("keras", "torch"),
        {"epoch": "with_keras:open_fit"},
        environment={"KERAS_BACKEND": "torch"},
    ),
    "keras.jax": Peer(
        ("keras", "jax"),
        {"epoch": "with_keras:open_fit"},
        environment=_SHARING | {"KERAS_BACKEND": "jax"},
    ),
}
