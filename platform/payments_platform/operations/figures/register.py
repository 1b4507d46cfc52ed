"""The register of service levels: what was promised, what a calendar month held of it, what follows from a breach.

Belongs here: the five levels, and judging a month from facts and a given time. Does not: finding the facts (stored.py,
defs/), telling anybody. A level that nothing measures says so; it is never taken as met.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl

from payments_platform.contracts.due import START_OF_DAILY_JOB, Due
from payments_platform.contracts.figures import SERVICE_LEVELS
from payments_platform.operations.figures.catalogue import Bound, Unit
from payments_platform.operations.figures.periods import Span, midnight
from payments_platform.operations.figures.weekly import executions
from payments_platform.operations.freshness import Watched

_HOUR: Final = 3600.0
# What analysts query: the promise is about these.
PROMISED_ZONES: Final = ("marts", "aggregates")
# The last deadline of a month is that of its last day.
_LAST_DEADLINE: Final = timedelta(hours=6)


@dataclass(frozen=True)
class ServiceLevel:
    """One promise. ``unmeasured`` says why nothing is measured, where that is so whatever the month held."""

    name: str
    says: str
    unit: Unit
    promised: Bound
    consequence: str
    unmeasured: str = ""


LEVELS: Final[tuple[ServiceLevel, ...]] = (
    ServiceLevel("source_availability", "The source database answers, share of the month", "ratio",
                 Bound("at_least", 0.999), "credit of 10 % of the bill",
                 "nothing asks from outside whether the source answers"),
    ServiceLevel("fraud_decision", "A fraud decision is made, P95", "seconds", Bound("below", 0.2),
                 "escalation to the CTO", "nothing scores payments yet"),
    ServiceLevel("warehouse_freshness", "A day can be queried, from 02:00 UTC on, slowest day", "seconds",
                 Bound("at_most", 4 * _HOUR), "incident report"),
    ServiceLevel("pipeline_success", "Executions of jobs that succeed", "ratio", Bound("above", 0.95),
                 "investigation"),
    ServiceLevel("lost_rows", "Rows that came in and are nowhere", "count", Bound("at_most", 0), "major incident"),
)  # fmt: skip
BY_NAME: Final[Mapping[str, ServiceLevel]] = {level.name: level for level in LEVELS}


@dataclass(frozen=True)
class Found:
    """What a month held of a level; ``value`` None when there was nothing to measure.

    ``is_missed`` breaks the promise whatever the value: it is as yet no worse than promised, and not over.
    """

    value: float | None
    sample_count: int
    breach_count: int
    text: str
    is_missed: bool = False


@dataclass(frozen=True)
class _Day:
    """How long until a day could be queried. A day that is missing at its deadline is late, whatever the seconds."""

    seconds: float
    is_missing: bool

    @property
    def is_late(self) -> bool:
        return self.is_missing or not BY_NAME["warehouse_freshness"].promised.holds(self.seconds)


@dataclass(frozen=True)
class MonthFacts:
    """What a month is judged by.

    ``watched`` are the datasets of the warehouse with their landings; ``lost`` counts by day what came in and is
    nowhere, for the days on which that was counted; ``since`` is the first run of the platform: before it nothing was
    promised. None: it never ran.
    """

    runs: pl.DataFrame
    watched: Sequence[Watched]
    lost: Mapping[date, int]
    since: datetime | None


def service_levels(facts: MonthFacts, month: Span, now: datetime) -> pl.DataFrame:
    """The rows of ``operations/service_levels``: the month as far as ``now`` goes."""
    now = now.astimezone(UTC)
    found = {
        "warehouse_freshness": _freshness(facts, month, now),
        "pipeline_success": _success(facts.runs, month, now),
        "lost_rows": _loss(facts.lost, month),
    }
    rows = [
        _row(level, found.get(level.name, Found(None, 0, 0, level.unmeasured)), month, now)
        for level in LEVELS
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SERVICE_LEVELS.schema, orient="row")


def _row(level: ServiceLevel, found: Found, month: Span, now: datetime) -> Sequence[object]:
    verdict, missed_by = "not measured", None
    if found.value is not None:
        is_met = level.promised.holds(found.value) and not found.is_missed
        verdict, missed_by = ("met", 0.0) if is_met else ("breached", abs(found.value - level.promised.limit))
    return (
        month.first,
        level.name,
        verdict,
        found.value,
        level.promised.limit,
        level.unit,
        missed_by,
        found.sample_count,
        found.breach_count,
        level.consequence if verdict == "breached" else None,
        found.text,
        now >= month.ends_at + _LAST_DEADLINE,
        now,
    )


def _success(runs: pl.DataFrame, month: Span, now: datetime) -> Found:
    ends = min(now, month.ends_at)
    ended = executions(runs).filter(pl.col("ended_at").is_between(month.starts_at, ends, closed="left"))
    failed = ended.filter(pl.col("outcome") == "failed").height
    if not ended.height:
        return Found(None, 0, 0, "no run of a job ended")
    good = ended.height - failed
    return Found(good / ended.height, ended.height, failed, f"{good} of {ended.height} executions succeeded")


def _freshness(facts: MonthFacts, month: Span, now: datetime) -> Found:
    """The slowest day: from the start of the daily job to the last of its tables; a day that is missing goes on."""
    days = {day: took for day in month.days if (took := _took(facts, day, now)) is not None}
    if not days:
        return Found(None, 0, 0, "no day was due")
    late = sum(it.is_late for it in days.values())
    slowest = max(days, key=lambda day: (days[day].seconds, days[day].is_missing))
    hours = f"{days[slowest].seconds / _HOUR:.1f} h"
    worst = f"{slowest} is missing, {hours} so far" if days[slowest].is_missing else f"{slowest} took {hours}"
    text = f"{len(days) - late} of {len(days)} days were there in time; {worst}"
    return Found(days[slowest].seconds, len(days), late, text, is_missed=late > 0)


def _took(facts: MonthFacts, day: date, now: datetime) -> _Day | None:
    """The time until all of a day could be queried; None for a day that was not due while the platform ran."""
    starts = midnight(day)
    promised = [it for it in facts.watched if _is_promised(it)]
    due_at = max((it.deadline.due_at(it.deadline.partition_at(starts)) for it in promised
                  if isinstance(it.deadline, Due)), default=None)  # fmt: skip
    if due_at is None or facts.since is None or not facts.since < due_at <= now:
        return None
    is_missing = any(starts not in it.landed for it in promised)
    there = max(it.landed[starts].landed_at if starts in it.landed else now for it in promised)
    return _Day(max((there - starts - timedelta(days=1) - START_OF_DAILY_JOB).total_seconds(), 0.0), is_missing)


def _is_promised(it: Watched) -> bool:
    is_daily = isinstance(it.deadline, Due) and it.deadline.period == "day"
    return is_daily and it.dataset.partition("/")[0] in PROMISED_ZONES


def _loss(lost: Mapping[date, int], month: Span) -> Found:
    counted = {day: rows for day, rows in lost.items() if month.first <= day < month.end}
    if not counted:
        return Found(None, 0, 0, "no day's rows were counted in and out")
    days = sorted(day for day, rows in counted.items() if rows)
    total = sum(counted.values())
    named = f", on {', '.join(f'{day}' for day in days[:5])}" if days else ""
    return Found(float(total), len(counted), len(days), f"{total} rows of {len(counted)} days are nowhere{named}")


def report_lines(register: pl.DataFrame) -> list[str]:
    """What a summary says of the register: each breach with its consequence, and what is not measured."""
    broken = register.filter(pl.col("verdict") == "breached")
    lines = [
        f"• {row['service_level']} {row['month_date']:%Y-%m}: {row['finding']}. Consequence: {row['consequence']}"
        for row in broken.iter_rows(named=True)
    ]
    unmeasured = register.filter(pl.col("verdict") == "not measured")["service_level"].to_list()
    met = register.filter(pl.col("verdict") == "met").height
    counted = f"Service levels of the month: {met} met, {broken.height} breached"
    return [f"{counted}, {len(unmeasured)} not measured ({', '.join(unmeasured)}).", *lines]
