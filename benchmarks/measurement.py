"""What came out for one peer and one workload."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

import numpy as np


@dataclass
class Measurement:
    """Samples of one peer on one workload, in seconds or bytes.

    ``numbers`` are those that all peers must agree on.
    """

    peer: str
    workload: str
    version: str = ""
    import_seconds: float = 0.0
    build_seconds: float = 0.0
    first_seconds: float = 0.0
    numbers: list[float] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def is_good(self) -> bool:
        return bool(self.samples) and not self.error

    @property
    def middle(self) -> float:
        return median(self.samples)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        low, high = np.percentile(self.samples, (25, 75))
        return float((high - low) / 2 / self.middle)


def compare_numbers(found: list[Measurement], tolerance: float = 1e-3) -> None:
    """Whose numbers are not those of the median peer gets an error."""
    able = [each for each in found if not each.error]
    if not able:
        return
    middle = np.median([each.numbers for each in able], axis=0)
    for each in able:
        if not np.allclose(each.numbers, middle, rtol=tolerance, atol=1e-6):
            each.error = f"numbers {each.numbers} differ from {middle.tolist()}"
