"""Counting changes of payments by minute of event time: pure, and the same however the input was cut into batches.

Belongs here: which minute a change counts in, adding up, closing minutes. Does not: writing or restoring counters
(counter_state.py), what a counter is (contracts/counters.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import polars as pl

from payments_platform.contracts.counters import (
    ALLOWED_LATENESS,
    COUNTER_KEY,
    COUNTERS,
    DELETED,
    MINUTE,
    WATERMARK_DELAY,
    Counted,
)

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEY: Final = ("partition", *COUNTER_KEY)


@dataclass(frozen=True)
class Clock:
    """How far a partition has come: in event time, and in time of arrival."""

    event_at: datetime = _START
    arrived_at: datetime = _START


Clocks = Mapping[int, Clock]


def count(changes: pl.DataFrame, clocks: Clocks) -> tuple[pl.DataFrame, dict[int, Clock]]:
    """What these changes add to the counters (``COUNTERS``), and the clocks after them.

    ``changes``: partition, timestamp, updated_at, is_snapshot, is_deleted, currency, merchant_id, status, amount_minor.
    A change is late by the changes before it in its partition alone, so that reading again counts the same; clocks
    never go back. A time ahead of its arrival moves none: one row of the year 9999 would close every minute.
    """
    if changes.is_empty():
        return pl.DataFrame(schema=COUNTERS), dict(clocks)
    arrived = pl.col("timestamp").cast(COUNTERS["minute_at"])
    event = pl.min_horizontal(pl.when("is_snapshot").then(_START).otherwise("updated_at"), arrived)
    timed = changes.select(
        "partition", "updated_at", "is_snapshot", "currency", "merchant_id", "amount_minor",
        pl.when("is_deleted").then(pl.lit(DELETED)).otherwise("status").alias("status"),
        arrived.cum_max().over("partition").alias("arrived"), event.cum_max().over("partition").alias("event"),
    )  # fmt: skip
    before = pl.max_horizontal("event", _known(clocks, timed["partition"], "event_at"))
    counted = (
        pl.when("is_snapshot").then(pl.lit(Counted.SNAPSHOT.value))
        .when(_is_closed(pl.col("updated_at").dt.truncate("1m"), before)).then(pl.lit(Counted.LATE.value))
        .otherwise(pl.lit(Counted.ON_TIME.value))
    )  # fmt: skip
    judged = timed.with_columns(counted.alias("counted"))
    came = pl.max_horizontal("arrived", _known(clocks, timed["partition"], "arrived_at"))
    minute = pl.when(pl.col("counted") == Counted.ON_TIME.value).then("updated_at").otherwise(came)
    added = judged.with_columns(minute.dt.truncate("1m").alias("minute_at")).group_by(_KEY).agg(_sums(pl.len()))
    return added.select(COUNTERS.names()).cast(COUNTERS), _moved(timed, clocks)


def add_up(*parts: pl.DataFrame) -> pl.DataFrame:
    """One row a counter: the totals of all parts."""
    return pl.concat(parts).group_by(_KEY).agg(_sums(pl.col("changes").sum())).select(COUNTERS.names())


def is_open(clocks: Clocks) -> pl.Expr:
    """Whether a counter's minute can still be added to."""
    closed = pl.lit(value=False)
    for partition, clock in clocks.items():
        now = pl.when(pl.col("counted") == Counted.ON_TIME.value).then(clock.event_at).otherwise(clock.arrived_at)
        closed = closed | ((pl.col("partition") == partition) & _is_closed(pl.col("minute_at"), now))
    return ~closed


def _sums(changes: pl.Expr) -> list[pl.Expr]:
    return [changes.alias("changes"), pl.col("amount_minor").cast(pl.Int128).sum()]


def _is_closed(minute: pl.Expr, clock: pl.Expr) -> pl.Expr:
    return minute + MINUTE + ALLOWED_LATENESS <= clock - WATERMARK_DELAY


def _known(clocks: Clocks, partitions: pl.Series, name: Literal["event_at", "arrived_at"]) -> pl.Series:
    known = {partition: getattr(clock, name) for partition, clock in clocks.items()}
    return partitions.replace_strict(known, default=_START, return_dtype=COUNTERS["minute_at"])


def _moved(timed: pl.DataFrame, clocks: Clocks) -> dict[int, Clock]:
    moved = dict(clocks)
    for partition, event, arrived in timed.group_by("partition").agg(pl.max("event", "arrived")).iter_rows():
        old = moved.get(partition, Clock())
        moved[partition] = Clock(max(old.event_at, event), max(old.arrived_at, arrived))
    return moved
