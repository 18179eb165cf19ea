"""Convolutions as windows that slide: where outputs and weights lie."""

from __future__ import annotations

from dataclasses import dataclass

from numbanet.kernels.axes import Axis


@dataclass(frozen=True)
class Contraction:
    """Channels: those of a group that are summed over, and those that come out of it.

    The strides say where a weight of either kind lies, and the first weight of a group.
    """

    groups: int
    summed: int
    lanes: int
    summed_stride: int
    lane_stride: int
    group_stride: int

    @property
    def is_lanewise(self) -> bool:
        """Whether every group is one channel in and one out: groups become the lanes."""
        return self.groups > 1 and self.summed == self.lanes == 1

    def lanewise(self) -> Contraction:
        return Contraction(1, 1, self.groups, 1, self.group_stride, 0)


@dataclass(frozen=True)
class Slide:
    """One convolution: its windows, and where its outputs and its weights lie.

    Distances in elements; those between taps are negative where the kernel is turned round.
    """

    rows: Axis
    columns: Axis
    out_start: int
    out_row: int
    out_column: int
    weight_start: int
    weight_row: int
    weight_column: int

    @property
    def is_everything(self) -> bool:
        """Whether its outputs follow one another without a gap."""
        return self.out_row == self.columns.windows * self.out_column
