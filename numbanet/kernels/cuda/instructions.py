"""Instructions that newer GPUs have, and what stands for them on older ones.

A kernel is typed once for all targets. So intrinsics name these instructions as if PTX had
them (``numbanet.copy16 a, b, c;``), and they are written out when the PTX of one target is
made. Both forms give the same bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Instruction:
    """PTX from compute capability ``since`` on, and before. Operands are ``{0}``, ``{1}``."""

    since: tuple[int, int]
    newer: str
    older: str


INSTRUCTIONS = {
    # (address in shared memory, address in global memory, bytes: 16, or 0 for zeros)
    "copy16": Instruction(
        since=(8, 0),
        newer="cp.async.cg.shared.global [{0}], [{1}], 16, {2};",
        older=(
            "{{ .reg .pred inside; .reg .b32 n0, n1, n2, n3;"
            " mov.b32 n0, 0; mov.b32 n1, 0; mov.b32 n2, 0; mov.b32 n3, 0;"
            " setp.ne.u32 inside, {2}, 0;"
            " @inside ld.global.v4.b32 {{n0, n1, n2, n3}}, [{1}];"
            " st.shared.v4.b32 [{0}], {{n0, n1, n2, n3}}; }}"
        ),
    ),
    # Until all copies that this thread has started are done.
    "finish_copies": Instruction((8, 0), newer="cp.async.wait_all;", older=""),
}


def expand(ptx: str, cc: tuple[int, int]) -> str:
    """``ptx`` as it is for compute capability ``cc``."""

    def write(found: re.Match[str]) -> str:
        instruction = INSTRUCTIONS[found[1]]
        text = instruction.newer if cc >= instruction.since else instruction.older
        return text.format(*(each.strip() for each in found[2].split(",")))

    return re.sub(r"numbanet\.(\w+)\s*([^;\n]*);", write, ptx)
