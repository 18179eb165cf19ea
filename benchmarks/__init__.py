"""The benchmark: numbanet beside PyTorch and JAX, on the same weights and batches.

``python -m benchmarks --help`` says what it can be asked.
"""
