"""Segments of the stream with sample rows, committed as the lake's worker commits them.

Belongs here: making them. Does not: the storage they lie in (storage.py), grouping them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import polars as pl

from payments_platform.contracts.sample import sample
from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.lake.storage import Storage
from payments_platform.streaming.sinks.lake_files import written
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

NOON: Final = datetime(2025, 1, 1, 12, tzinfo=UTC)


def segment(
    storage: Storage, partition: int, start: int, end: int, at: datetime = NOON, committed: Sequence[datetime] = ()
) -> segments.Segment:
    """Commit the segment ``[start, end)`` of a partition, appended at ``at``; ``committed`` is one time a row."""
    rows = sample(RAW_TRANSACTIONS_STREAM, end - start).with_columns(
        topic_partition=pl.lit(partition, dtype=pl.Int32),
        topic_offset=pl.int_range(start, end, dtype=pl.Int64),
        appended_at=pl.lit(at, dtype=pl.Datetime("ms", "UTC")),
    )
    if committed:
        rows = rows.with_columns(pl.Series("committed_at", committed, dtype=pl.Datetime("us", "UTC")))
    made = written(storage, (ANALYTICS_TRANSACTIONS, partition), (start, end), rows, at)
    return segments.commit(storage, made)
