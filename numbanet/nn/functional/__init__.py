"""Functions of tensors with PyTorch's names."""
