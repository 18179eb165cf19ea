"""Data sets, loaders, samplers and transforms with PyTorch's names."""
