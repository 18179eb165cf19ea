"""The models as PyTorch users write them, for every library that has PyTorch's modules.

Parameters are in the order of the workloads' weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from benchmarks import models
from benchmarks.models import ConvNet, Convolution, Perceptron, ResNet, Transformer


def builders(nn: Any, functional: Any) -> Mapping[type, Callable[[Any, float], Any]]:
    """For each kind of model, what makes a module of its sizes and a rate of dropout.

    Parameters
    ----------
    nn, functional : module
        ``torch.nn`` and ``torch.nn.functional``, or their like.
    """

    class PerceptronModule(nn.Module):
        def __init__(self, sizes: Perceptron, _: float) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes.sizes))
            self.reconstructs = sizes.reconstructs

        def forward(self, x: Any) -> Any:
            *hidden, last = self.layers
            for layer in hidden:
                x = functional.relu(layer(x))
            return functional.sigmoid(last(x)) if self.reconstructs else last(x)

    class ConvNetModule(nn.Module):
        def __init__(self, sizes: ConvNet, dropout: float) -> None:
            super().__init__()
            self.convolutions = nn.ModuleList(
                nn.Conv2d(a, b, 3) for a, b in pairwise(sizes.channels)
            )
            self.fc = nn.Linear(sizes.features, 10)
            self.drop = nn.Dropout(dropout) if dropout else nn.Identity()

        def forward(self, x: Any) -> Any:
            for convolution in self.convolutions:
                x = self.drop(functional.max_pool2d(functional.relu(convolution(x)), 2))
            return self.fc(x.flatten(1))

    class Unit(nn.Module):
        """A convolution and its batch normalisation."""

        def __init__(self, row: Convolution) -> None:
            super().__init__()
            _, fan_in, fan_out, size, stride = row
            self.conv = nn.Conv2d(fan_in, fan_out, size, stride, size // 2, bias=False)
            self.norm = nn.BatchNorm2d(fan_out)

        def forward(self, x: Any) -> Any:
            return self.norm(self.conv(x))

    class ResNetModule(nn.Module):
        def __init__(self, sizes: ResNet, _: float) -> None:
            super().__init__()
            rows = sizes.convolutions()
            self.units = nn.ModuleDict({row.name.replace(".", "_"): Unit(row) for row in rows})
            self.blocks = [name.replace(".", "_") for name in sizes.block_names()]
            self.fc = nn.Linear(rows[-1].fan_out, 10)

        def forward(self, x: Any) -> Any:
            x = functional.relu(self.units["stem_conv"](x))
            for at in self.blocks:
                y = functional.relu(self.units[f"{at}_conv1"](x))
                y = self.units[f"{at}_conv2"](y)
                skip = f"{at}_skip_conv"
                x = functional.relu(y + (self.units[skip](x) if skip in self.units else x))
            return self.fc(x.mean((2, 3)))

    class Block(nn.Module):
        def __init__(self, sizes: Transformer) -> None:
            super().__init__()
            width = sizes.width
            self.heads = sizes.heads
            self.norm1 = nn.LayerNorm(width, sizes.epsilon)
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)
            self.norm2 = nn.LayerNorm(width, sizes.epsilon)
            self.up = nn.Linear(width, 4 * width)
            self.down = nn.Linear(4 * width, width)

        def attend(self, x: Any) -> Any:
            parts = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(*parts)
            return self.out(mixed.transpose(1, 2).flatten(2))

        def forward(self, x: Any) -> Any:
            x = x + self.attend(self.norm1(x))
            return x + self.down(functional.gelu(self.up(self.norm2(x))))

    class TransformerModule(nn.Module):
        def __init__(self, sizes: Transformer, _: float) -> None:
            super().__init__()
            self.blocks = nn.Sequential(*(Block(sizes) for _ in range(sizes.layers)))
            self.norm = nn.LayerNorm(sizes.width, sizes.epsilon)
            self.fc = nn.Linear(sizes.width, 10)

        def forward(self, x: Any) -> Any:
            return self.fc(self.norm(self.blocks(x)).mean(1))

    return {
        models.Perceptron: PerceptronModule,
        models.ConvNet: ConvNetModule,
        models.ResNet: ResNetModule,
        models.Transformer: TransformerModule,
    }
