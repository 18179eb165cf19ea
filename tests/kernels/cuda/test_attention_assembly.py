"""Attention's kernels, as they are on real GPUs, compile clean for every target."""

import pytest

from numbanet.ir import DType
from numbanet.ops.attention_scores import AttentionAttrs
from tests.kernels.cuda.test_assembly import calls

VARIANTS = {
    # queries, width, width of values, dtype, causal, mask
    "large tiles": ((8, 1024, 12), 64, 64, DType.FLOAT32, False, None),
    "many rows, masked, number by number": (
        ((4, 1024, 12), 33, 65, DType.FLOAT32, True, DType.FLOAT32)
    ),
    "small tiles": ((8, 128, 4), 32, 32, DType.FLOAT32, True, DType.BOOL),
    "doubles": ((2, 40, 3), 16, 16, DType.FLOAT64, True, DType.FLOAT64),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("op", ["attention", "attention_grad"])
def test_compiles_clean(assert_clean, op, variant):
    rows, width, wide, dtype, is_causal, kind = VARIANTS[variant]
    q, g, row = (((*rows, width), dtype), ((*rows, wide), dtype), (rows, dtype))
    others = [] if op == "attention" else [row, row, g]
    masks = [] if kind is None else [((rows[1], rows[1]), kind)]
    for call in calls(op, AttentionAttrs(0.25, is_causal), q, q, g, *others, *masks):
        assert_clean(call.kernel)
