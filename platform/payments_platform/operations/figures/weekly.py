"""The figures of an ISO week, from the records of runs, ticks and phases.

Belongs here: pure functions on frames that follow the contracts. Does not: reading the records (defs/), any clock.
What nothing was measured of is null and never a full score. See ADR 0037.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Final

import polars as pl

from payments_platform.contracts.figures import WEEKLY_FIGURES, WHOLE_RUN
from payments_platform.operations.evidence import nearest_rank
from payments_platform.operations.figures.catalogue import BASELINE_SAMPLES, BY_NAME, Bound
from payments_platform.operations.figures.periods import Span
from payments_platform.operations.phases import LIMITS, PHASES

# Shorter tasks differ by what else the machine does.
_SHORTEST_SECONDS: Final = 1.0
_SECONDS: Final = (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1e6


@dataclass(frozen=True)
class Value:
    """A figure of a subject; ``value`` None when nothing was measured."""

    figure: str
    subject: str
    value: float | None
    sample_count: int
    bound: Bound | None = None


def weekly_figures(
    runs: pl.DataFrame, ticks: pl.DataFrame, phases: pl.DataFrame, week: Span, until: datetime
) -> pl.DataFrame:
    """The rows of ``operations/weekly_figures`` for a week, of what had ended by ``until``.

    ``runs`` holds the days of the baseline too, ``ticks`` and ``phases`` may hold more than the week.
    """
    until = until.astimezone(UTC)
    ended = runs.filter(pl.col("ended_at") < min(until, week.ends_at))
    values = [
        *(value for job in _jobs(ended, week) for value in _of_job(ended.filter(pl.col("job_name") == job), job, week)),
        *_of_ticks(ticks, week),
        *_of_phases(phases, week, until),
    ]
    return pl.DataFrame([_row(value, week) for value in values], schema=WEEKLY_FIGURES.schema, orient="row")


def executions(runs: pl.DataFrame) -> pl.DataFrame:
    """The runs that count: the last attempt of each, without those a person cancelled and those that did nothing.

    A run that failed before its first task did fail; only one that succeeded without a task did nothing.
    """
    whole = runs.filter(pl.col("task") == WHOLE_RUN, pl.col("is_final"), pl.col("outcome") != "cancelled")
    return whole.filter((pl.col("outcome") == "failed") | (pl.col("task_count") > 0))


def _jobs(runs: pl.DataFrame, week: Span) -> list[str]:
    return sorted(_within(runs, week)["job_name"].unique().to_list())


def _within(runs: pl.DataFrame, week: Span) -> pl.DataFrame:
    return runs.filter(pl.col("ended_at").is_between(week.starts_at, week.ends_at, closed="left"))


def _of_job(runs: pl.DataFrame, job: str, week: Span) -> Iterator[Value]:
    known, tasks = executions(runs), runs.filter(pl.col("task") != WHOLE_RUN)
    ended, done = _within(known, week), _within(tasks, week)
    succeeded = ended.filter(pl.col("outcome") == "succeeded")
    yield Value("job_executions", job, float(ended.height), ended.height)
    yield _share("job_success_ratio", job, succeeded.height, ended.height)
    yield _share("job_retry_ratio", job, ended.filter(pl.col("attempts") > 1).height, ended.height)
    yield _share("task_retry_ratio", job, done.filter(pl.col("attempts") > 1).height, done.height)
    took, usual = _took(succeeded), _took(known.filter(pl.col("outcome") == "succeeded"))
    yield Value("job_median_seconds", job, median(took) if took else None, len(took))
    longest = nearest_rank(took, 0.95) if took else None
    yield Value("job_p95_seconds", job, longest, len(took))
    is_usual = longest is not None and len(usual) >= BASELINE_SAMPLES and median(usual) > 0
    yield Value("job_duration_ratio", job, longest / median(usual) if is_usual and longest else None, len(took))
    yield _task_durations(tasks, job, week)
    lags = _lags(_within(runs, week))
    yield Value("schedule_lag_seconds", job, nearest_rank(lags, 0.95) if lags else None, len(lags))


def _share(figure: str, subject: str, part: int, whole: int) -> Value:
    return Value(figure, subject, part / whole if whole else None, whole)


def _took(runs: pl.DataFrame) -> list[float]:
    """Seconds at work, without the wait in the queue."""
    return runs.select(_SECONDS.alias("seconds")).drop_nulls()["seconds"].to_list()


def _task_durations(tasks: pl.DataFrame, job: str, week: Span) -> Value:
    """Each task beside its own usual time, all tasks of the job together."""
    timed = tasks.filter(pl.col("outcome") == "succeeded").with_columns(
        seconds=pl.max_horizontal(_SECONDS, pl.lit(_SHORTEST_SECONDS))
    )
    usual = timed.drop_nulls("started_at").group_by("task").agg(pl.col("seconds").median().alias("usual"), pl.len())
    compared = _within(timed, week).join(usual.filter(pl.col("len") >= BASELINE_SAMPLES), on="task")
    ratios = (compared["seconds"] / compared["usual"]).to_list()
    return Value("task_duration_ratio", job, nearest_rank(ratios, 0.95) if ratios else None, len(ratios))


def _lags(runs: pl.DataFrame) -> list[float]:
    """Seconds from the due moment to the run; a later attempt was due by no schedule."""
    first = runs.filter(pl.col("task") == WHOLE_RUN, pl.col("attempts") == 1)
    lag = (pl.col("created_at") - pl.col("due_at")).dt.total_microseconds() / 1e6
    return first.select(lag.alias("lag")).drop_nulls()["lag"].to_list()


def _of_ticks(ticks: pl.DataFrame, week: Span) -> Iterator[Value]:
    found = ticks.filter(pl.col("partition_date").is_between(week.first, week.end, closed="left"))
    for (name,), days in sorted(found.group_by("automation_name"), key=lambda group: str(group[0][0])):
        measured = int(days["measured_count"].sum())
        for figure, of in (("tick_lag_seconds", "p95_lag_seconds"), ("longest_gap_seconds", "longest_lag_seconds")):
            yield Value(figure, str(name), max(days[of].drop_nulls().to_list(), default=None), measured)


def _of_phases(phases: pl.DataFrame, week: Span, until: datetime) -> Iterator[Value]:
    """The days of one run share its times: each run counts once."""
    ends = min(until, week.ends_at)
    found = phases.filter(pl.col("measured_at").is_between(week.starts_at, ends, closed="left"))
    found = found.unique(["run_id", "phase"])
    for phase in PHASES if found.height else ():
        seconds = found.filter(pl.col("phase") == phase)["seconds"].to_list()
        limit = Bound("below", LIMITS[phase].sla_seconds)
        yield Value("phase_seconds", phase, max(seconds, default=None), len(seconds), limit)


def _row(it: Value, week: Span) -> Sequence[object]:
    figure = BY_NAME[it.figure]
    bound = it.bound or figure.target
    is_met = bound.holds(it.value) if bound and it.value is not None else None
    limit = bound.limit if bound else None
    return (week.first, it.figure, it.subject, it.value, figure.unit, limit, is_met, it.sample_count)
