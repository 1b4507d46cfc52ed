"""How long after their due moment schedules and sensors were evaluated, a row for each of them and a day.

Belongs here: the arithmetic on given ticks. Does not: reading them (defs/_platform/instance_records.py), weeks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import polars as pl

from payments_platform.contracts.figures import TICK_RECORDS
from payments_platform.operations.evidence import nearest_rank
from payments_platform.operations.figures.periods import Span


@dataclass(frozen=True)
class Tick:
    """One evaluation. ``at`` is its due moment for a schedule, its beginning for a sensor."""

    at: datetime
    ended_at: datetime | None
    is_failed: bool = False


@dataclass(frozen=True)
class Automation:
    """A schedule or sensor with ticks in order of time. ``interval`` is the pause that a sensor asks for.

    ``is_complete`` is False when some ticks were removed from the record: then the gaps between the others say nothing.
    """

    name: str
    kind: Literal["schedule", "sensor"]
    ticks: Sequence[Tick]
    interval: timedelta = timedelta()
    is_complete: bool = True


def tick_records(found: Sequence[Automation], day: Span) -> pl.DataFrame:
    """The rows of ``operations/tick_records`` for a day. A sensor that stood still is late by all the time it stood."""
    rows = [row for it in found if (row := _row(it, day)) is not None]
    return pl.DataFrame(rows, schema=TICK_RECORDS.schema, orient="row")


def _row(it: Automation, day: Span) -> Sequence[object] | None:
    ticks = [tick for tick in it.ticks if day.starts_at <= tick.at < day.ends_at]
    if not ticks:
        return None
    lags = list(_schedule_lags(ticks) if it.kind == "schedule" else _sensor_lags(it, day))
    return (
        day.first,
        it.name,
        it.kind,
        len(ticks),
        sum(tick.is_failed for tick in ticks),
        len(lags),
        nearest_rank(lags, 0.95) if lags else None,
        max(lags, default=None),
    )


def _schedule_lags(ticks: Sequence[Tick]) -> Iterator[float]:
    """A schedule's tick carries the moment that it was due; it is over once its run was asked for."""
    return ((tick.ended_at - tick.at).total_seconds() for tick in ticks if tick.ended_at is not None)


def _sensor_lags(it: Automation, day: Span) -> Iterator[float]:
    """A sensor is due one interval after its last evaluation began, the day before included."""
    if it.is_complete:
        for before, after in pairwise(it.ticks):
            if day.starts_at <= after.at < day.ends_at:
                yield max((after.at - before.at - it.interval).total_seconds(), 0.0)
