"""Data on the host: arrays checked and converted, and the order of epochs."""
