"""What is done with all parameters or gradients of a model at once."""

from numbanet.nn.utils.clipping import clip_grad_norm_, clip_grad_value_
from numbanet.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "vector_to_parameters",
]
