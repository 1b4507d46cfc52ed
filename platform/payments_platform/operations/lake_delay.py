"""How long changes waited until the lake had them, by its segments: not a reader's delay, as it holds them on purpose.

Belongs here: the waits of the segments of a run. Does not: stores that show a payment at once (delays.py), writing
segments (streaming/sinks).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake.segments import Segment, read, starts
from payments_platform.lake.storage import Storage
from payments_platform.oltp.traffic.latency import Latencies, Percentiles

ALLOWANCE: Final = timedelta(seconds=2)
"""What the way to the lake may take beside the time for which its worker holds a change."""


def lake_waits(storage: Storage, topic: str, since: datetime) -> Percentiles:
    """Of each segment that is there, how long the oldest change in it waited that was committed from ``since`` on.

    From the commit at the source until the manifest was written, by which readers see the segment. The other changes
    of a segment waited less. A segment without such a change is none of the run, and what is held yet is not counted.
    """
    waits = Latencies()
    for segment in _appended_since(storage, topic, since):
        oldest, manifest = _oldest(storage, segment, since), storage.stat(segment.path)
        if oldest is not None and manifest is not None:
            waits.record("segment", (manifest.modified - oldest).total_seconds())
    return waits.percentiles()


def lake_line(waits: Percentiles, flush: timedelta) -> str:
    """The waits in one line, beside what they may be."""
    held, most = f"{flush.total_seconds():g} s", flush + ALLOWANCE
    if not waits.count:
        return f"commit → lake: no segment of these changes yet; its worker holds them for {held} at most"
    word = "held" if waits.p95 <= most.total_seconds() * 1_000 else "missed"
    figures = f"P95 {waits.p95 / 1_000:.2f} s, longest {waits.longest / 1_000:.2f} s"
    limit = f"flush interval of {held} and {ALLOWANCE.total_seconds():g} s at P95 {word}"
    return f"commit → lake, oldest change of each of {waits.count:,} segments so far: {figures}; {limit}"


def _appended_since(storage: Storage, topic: str, since: datetime) -> Iterator[Segment]:
    """The latest segments of each partition; the manifests before them are not read."""
    for partition, numbers in starts(storage, topic).items():
        for start in reversed(numbers):
            segment = read(storage, topic, partition, start)
            if segment.last_appended_at < since:
                break
            yield segment


def _oldest(storage: Storage, segment: Segment, since: datetime) -> datetime | None:
    rows = storage.scan([segment.file], RAW_TRANSACTIONS_STREAM.schema).filter(pl.col("committed_at") >= since)
    oldest: datetime | None = rows.select(pl.col("committed_at").min()).collect().item()
    return oldest
