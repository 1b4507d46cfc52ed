"""Runs, ticks and phase times of a platform, written down by hand: what figures are tried on.

Belongs here: making rows that follow the contracts. Does not: what follows from them (unit/test_weekly_figures.py).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

from payments_platform.contracts.figures import RUN_RECORDS, TICK_RECORDS, WHOLE_RUN
from payments_platform.contracts.operations import PHASE_TIMES

DAILY, HOURLY = "daily_oltp_to_dwh", "hourly_feature_refresh"
Row = tuple[object, ...]


def at(day: date, hour: float = 2) -> datetime:
    """A moment of a day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)


def run(
    name: str,
    ended_at: datetime,
    seconds: float | None = 600.0,
    *,
    job: str = DAILY,
    outcome: str = "succeeded",
    is_final: bool = True,
    attempts: int = 1,
    tasks: int = 3,
    lag: float | None = None,
) -> Row:
    """One run that took so long; ``lag`` seconds after a schedule was due, or by no schedule."""
    started = None if seconds is None else ended_at - timedelta(seconds=seconds)
    created = (started or ended_at) - timedelta(seconds=5)
    due = None if lag is None else created - timedelta(seconds=lag)
    day = ended_at.astimezone(UTC).date()
    return (day, name, WHOLE_RUN, job, outcome, is_final, attempts, tasks, due, created, started, ended_at)


def task(
    name: str, run_id: str, ended_at: datetime, seconds: float, *, outcome: str = "succeeded", attempts: int = 1,
    job: str = DAILY,
) -> Row:  # fmt: skip
    """One task of a run."""
    started = ended_at - timedelta(seconds=seconds)
    return (ended_at.date(), run_id, name, job, outcome, True, attempts, None, None, None, started, ended_at)


def runs(rows: Sequence[Row]) -> pl.DataFrame:
    """As the platform keeps them."""
    return pl.DataFrame(rows, schema=RUN_RECORDS.schema, orient="row")


def ticks(rows: Sequence[Row] = ()) -> pl.DataFrame:
    """As the platform keeps them."""
    return pl.DataFrame(rows, schema=TICK_RECORDS.schema, orient="row")


def phases(rows: Sequence[tuple[str, str, float, datetime]] = ()) -> pl.DataFrame:
    """Run, phase, seconds, when they were measured."""
    filled = [(name, phase, seconds, 1, 2, True, None, measured) for name, phase, seconds, measured in rows]
    return pl.DataFrame(filled, schema=PHASE_TIMES.schema, orient="row")
