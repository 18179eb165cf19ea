"""Tensors whose numbers are computed when somebody looks.

An operation on tensors records an op. Reading a number, or an optimizer's step, runs everything
that was recorded as one compiled program; the next iteration finds that program again.
"""
