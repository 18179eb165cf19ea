"""Tensors whose numbers are computed when somebody looks.

An operation on tensors records an op. Reading a number, or an optimizer's step, runs everything
that was recorded as one compiled program; the next iteration finds that program again.
"""

from numbanet.tensors import cuda, functions
from numbanet.tensors.creation import (
    arange,
    as_tensor,
    asarray,
    bernoulli,
    device,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    get_default_dtype,
    linspace,
    logspace,
    manual_seed,
    meshgrid,
    multinomial,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    set_default_dtype,
    tensor,
    zeros,
    zeros_like,
)
from numbanet.tensors.dtypes import (
    bool,
    double,
    dtype,
    float,
    float32,
    float64,
    int,
    int32,
    int64,
    long,
    uint8,
)
from numbanet.tensors.functions import *  # noqa: F403 - all of them, as listed there
from numbanet.tensors.functions.sized import (
    bincount,
    masked_select,
    nonzero,
    unique,
)
from numbanet.tensors.interop import (
    from_dlpack,
)
from numbanet.tensors.methods import (
    is_floating_point,
    is_tensor,
    numel,
)
from numbanet.tensors.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from numbanet.tensors.printing import (
    set_printoptions,
)
from numbanet.tensors.size import (
    Size,
)
from numbanet.tensors.tensor import (
    Tensor,
)

__all__ = [
    "Size",
    "Tensor",
    "arange",
    "as_tensor",
    "asarray",
    "bernoulli",
    "bincount",
    "bool",
    "cuda",
    "device",
    "double",
    "dtype",
    "empty",
    "empty_like",
    "enable_grad",
    "eye",
    "float",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "get_default_dtype",
    "inference_mode",
    "int",
    "int32",
    "int64",
    "is_floating_point",
    "is_grad_enabled",
    "is_tensor",
    "linspace",
    "logspace",
    "long",
    "manual_seed",
    "masked_select",
    "meshgrid",
    "multinomial",
    "no_grad",
    "nonzero",
    "normal",
    "numel",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "set_default_dtype",
    "set_grad_enabled",
    "set_printoptions",
    "tensor",
    "uint8",
    "unique",
    "zeros",
    "zeros_like",
]
__all__ += functions.__all__
