"""Modules with PyTorch's names."""
