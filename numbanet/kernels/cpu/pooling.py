"""Pooling on CPUs: channels-last windows of maxima and means, and their gradients."""
