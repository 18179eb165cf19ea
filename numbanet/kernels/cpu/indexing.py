"""Indexing on CPUs: argmax, take, scatter-add and gathering a batch."""
