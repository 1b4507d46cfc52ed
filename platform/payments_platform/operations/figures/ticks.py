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
    ``since`` is a moment before its ticks from which on a sensor is known to have been waited for: that of an earlier
    tick, as a rule. None: it is not known to have been there.
    """

    name: str
    kind: Literal["schedule", "sensor"]
    ticks: Sequence[Tick]
    interval: timedelta = timedelta()
    is_complete: bool = True
    since: datetime | None = None


def tick_records(found: Sequence[Automation], day: Span, until: datetime) -> pl.DataFrame:
    """The rows of ``operations/tick_records`` for a day, as far as ``until`` goes.

    A sensor that stood still is late by all the time it stood: where it comes back, and by the end of each day on which
    it has not.
    """
    until = min(until, day.ends_at)
    rows = [row for it in found if (row := _row(it, day, until)) is not None]
    return pl.DataFrame(rows, schema=TICK_RECORDS.schema, orient="row")


def _row(it: Automation, day: Span, until: datetime) -> Sequence[object] | None:
    ticks = [tick for tick in it.ticks if day.starts_at <= tick.at < until]
    lags = list(_schedule_lags(ticks) if it.kind == "schedule" else _sensor_lags(it, day, until))
    if not (ticks or lags):
        return None
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


def _sensor_lags(it: Automation, day: Span, until: datetime) -> Iterator[float]:
    """A sensor is due one interval after its last evaluation began, however long before the day that was."""
    if not it.is_complete or until <= day.starts_at:
        return
    begun = [tick.at for tick in it.ticks if tick.at < until]
    if it.since is not None and it.since < min([*begun, until]):
        begun.insert(0, it.since)
    for before, after in pairwise(begun):
        if after >= day.starts_at:
            yield max((after - before - it.interval).total_seconds(), 0.0)
    overdue = (until - begun[-1] - it.interval).total_seconds() if begun else 0.0
    if overdue > 0:
        yield overdue
