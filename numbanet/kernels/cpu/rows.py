"""Rows on CPUs: softmax, log-softmax, cross-entropy and layer normalisation."""
