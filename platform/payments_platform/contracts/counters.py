"""Contract of the counters of the stream: changes of payments per minute, currency, merchant and status.

Belongs here: what a counter is, and how late a change may come. Does not: counting (streaming/counters.py).
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import polars as pl

from payments_platform.contracts.columns import UTC_MICROS

# The watermark of a partition follows the latest event time in it, this far behind: order is not perfect.
WATERMARK_DELAY: Final = timedelta(minutes=2)
# A minute stays open until the watermark is this far beyond its end.
ALLOWED_LATENESS: Final = timedelta(minutes=10)
MINUTE: Final = timedelta(minutes=1)


class Counted(StrEnum):
    """How a change was counted: each is counted once, in one of these ways."""

    ON_TIME = "on_time"
    """In the minute of its event time."""
    LATE = "late"
    """Its minute was closed: in the minute of its arrival."""
    SNAPSHOT = "snapshot"
    """A row read by a snapshot, which is no change: in the minute of its arrival."""


DELETED: Final = "deleted"
"""Counted in place of a status: the payment has none any more."""
COUNTER_KEY: Final = ("counted", "minute_at", "currency", "merchant_id", "status")
COUNTERS: Final = pl.Schema(
    {
        "partition": pl.Int32(),
        "counted": pl.String(),
        "minute_at": UTC_MICROS,
        "currency": pl.String(),
        "merchant_id": pl.String(),
        "status": pl.String(),
        "changes": pl.Int64(),
        # Wider than any sum of 64-bit amounts of one minute.
        "amount_minor": pl.Int128(),
    }
)
"""One row a counter of one partition of the input; partitions add up. Each message on ops.metrics is a total so far."""


@dataclass(frozen=True)
class Drift:
    """A column that a captured table has and its contract has not, or the other way round, or of another type."""

    table: str
    column: str
    what: str
