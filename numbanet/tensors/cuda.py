"""PyTorch's questions about GPUs. Tensors compute on one device, so the answers are short."""

from __future__ import annotations

from numbanet.initializers import set_seed
from numbanet.tensors.flush import device


def is_available() -> bool:
    """Whether tensors are computed on a GPU."""
    return device().name.startswith("cuda")


def device_count() -> int:
    """The number of GPUs that tensors are computed on."""
    return int(is_available())


def manual_seed(seed: int) -> None:
    """Seed all that numbanet draws; see `numbanet.set_seed`."""
    set_seed(int(seed))


manual_seed_all = manual_seed
