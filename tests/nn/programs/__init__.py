"""Programs that `tests.nn.test_programs` runs with PyTorch and with numbanet."""
