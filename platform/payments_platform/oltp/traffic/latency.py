"""How long transactions took, kept exactly: eight bytes for each.

Belongs here: recording from many threads, and percentiles. Does not: what is timed.
"""

from array import array
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds that half, 95 % and 99 % of the transactions did not exceed, and the longest."""

    count: int
    p50: float
    p95: float
    p99: float
    longest: float


class Latencies:
    """Durations by kind. Both finding an array and appending to it are atomic, so threads need no lock."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._seconds: dict[str, array[float]] = {}

    def record(self, kind: str, seconds: float) -> None:
        """Keep one duration."""
        self._seconds.setdefault(kind, array("d")).append(seconds)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {kind: len(found) for kind, found in sorted(self._seconds.items())}

    def percentiles(self, *kinds: str) -> Percentiles:
        """Over the given kinds, or over all; zeros when there are none."""
        chosen = [np.array(found) for kind, found in list(self._seconds.items()) if not kinds or kind in kinds]
        millis = np.concatenate(chosen) * 1_000 if chosen else np.zeros(0)
        if not len(millis):
            return Percentiles(0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = (float(value) for value in np.percentile(millis, (50, 95, 99)))
        return Percentiles(len(millis), p50, p95, p99, float(millis.max()))
