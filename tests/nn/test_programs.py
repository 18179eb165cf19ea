"""Whole programs, with nothing changed but the names that they import, do what PyTorch's do.

The files of ``tests/nn/programs`` are PyTorch's own text. Each is run twice: as it is, and with
numbanet's import lines. What a program returns, the gradients and numbers that its modules are
left with, and how they print, are the same.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numbanet

torch = pytest.importorskip("torch")

FOLDER = Path(__file__).with_name("programs")
IMPORTS = (
    ("import torch\n", "import numbanet as torch\n"),
    ("import torch.", "import numbanet."),
    ("from torch.utils.data ", "from numbanet.data "),
    ("from torch import", "from numbanet import"),
    ("from torch.", "from numbanet."),
)
PROGRAMS = [
    *(("images", name) for name in ("lenet", "resnet", "vae", "segmentation")),
    *(("sequences", name) for name in ("packed", "char_gpt", "text_bags", "word_vectors")),
    *(("training", name) for name in ("distillation", "resume", "samplers", "by_hand")),
    *(("training", name) for name in ("polynomial", "freezing", "moving_average")),
    *(("training", name) for name in ("accumulation", "early_stopping", "hooks", "masks")),
    *(("learning", name) for name in ("mixture_of_experts", "dqn", "reinforce")),
    *(("learning", name) for name in ("graph_convolution", "normalizing_flow")),
    *(("tutorials", name) for name in ("unet", "dcgan", "wasserstein", "char_rnn", "seq2seq")),
    *(("tutorials", name) for name in ("transformer_lm", "siamese", "style_transfer", "fgsm")),
    *(("tutorials", name) for name in ("grad_cam", "spatial_transformer", "checkpoints")),
    *(("tutorials", name) for name in ("k_fold", "spectral_gan_block", "video")),
    *(("tutorials", name) for name in ("averaged_weights", "denoising_autoencoder")),
]


class Run:
    """What a program is given: data, and weights that are the same on both sides.

    Parameters
    ----------
    lib : module
        PyTorch, or numbanet.
    first : Run, optional
        The other side's, whose modules started with the weights that these ones take.
    """

    def __init__(self, lib: ModuleType, first: Run | None = None) -> None:
        self.lib = lib
        self.first = first
        self.modules: list[Any] = []
        self.states: list[dict[str, np.ndarray]] = []

    def start(self, module: Any) -> Any:
        """``module``, with its first weights."""
        place = len(self.modules)
        self.modules.append(module)
        if self.first is None:
            state = {key: each.numpy().copy() for key, each in module.state_dict().items()}
            self.states.append(state)
            return module
        assert repr(module) == repr(self.first.modules[place])
        assert list(module.state_dict()) == list(self.first.states[place])
        module.load_state_dict(self.first.states[place])
        return module

    def drawn(self, *shape: int, seed: int = 0) -> Any:
        """Normal numbers: each side draws others."""
        numbers = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        return self.lib.from_numpy(numbers)

    def labels(self, classes: int, *shape: int, seed: int = 1) -> Any:
        """Integers below ``classes``."""
        return self.lib.from_numpy(np.random.default_rng(seed).integers(0, classes, shape))

    def fit(
        self, model: Any, optimizer: Any, loss_of: Callable[[Any], Any], steps: int = 5
    ) -> list[float]:
        """The losses of a training loop."""
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of(model)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses


def load(file: str, ported: bool) -> dict[str, Any]:
    """The names of a file of programs, perhaps with numbanet's import lines."""
    path = FOLDER / f"{file}.py"
    text = path.read_text(encoding="utf-8")
    if ported:
        for theirs, ours in IMPORTS:
            text = text.replace(theirs, ours)
        assert not re.search(r"(from|import) torch", text)
    names: dict[str, Any] = {"__name__": f"{file}_{'ours' if ported else 'theirs'}"}
    exec(compile(text, str(path), "exec"), names)
    return names


def same(ours: Any, theirs: Any, where: str = "result") -> None:
    """The same structure, types and numbers."""
    if isinstance(theirs, (torch.Tensor, numbanet.Tensor)):
        theirs, ours = theirs.detach().numpy(), ours.detach().numpy()
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), where
        for place, pair in enumerate(zip(ours, theirs, strict=True)):
            same(*pair, f"{where}[{place}]")
    elif isinstance(theirs, (np.ndarray, float)):
        a, b = np.asarray(ours), np.asarray(theirs)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=where)
    else:
        assert ours == theirs, where


@pytest.mark.parametrize(("file", "name"), PROGRAMS, ids=[name for _, name in PROGRAMS])
def test_programs_do_what_they_do_with_pytorch(file: str, name: str) -> None:
    torch.manual_seed(0)
    theirs = Run(torch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's advice is no matter of ours.
        expected = load(file, ported=False)[name](theirs)
    ours = Run(numbanet, theirs)
    same(load(file, ported=True)[name](ours), expected)
    for mine, peer in zip(ours.modules, theirs.modules, strict=True):
        others = dict(peer.named_parameters())
        for key, parameter in mine.named_parameters():
            assert (parameter.grad is None) is (others[key].grad is None), key
            if parameter.grad is not None:
                same(parameter.grad, others[key].grad, f"gradient of {key}")
        same(dict(mine.state_dict()), dict(peer.state_dict()), "state")
