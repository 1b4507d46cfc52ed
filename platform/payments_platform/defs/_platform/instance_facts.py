"""What Dagster's instance knows of runs, checks, schedules and sensors, as the facts that alerts are made from.

Belongs here: reading the instance. Does not: what the facts mean (operations/alerts/run_sources.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, cast

import dagster as dg

from payments_platform.defs._platform.partitions import (
    HOUR_FORMAT,
    RANGE_END,
    RANGE_START,
    SINGLE,
    WINDOWS_TAG,
    days_of,
    hours_of,
    windows_of,
)
from payments_platform.operations.alerts.run_sources import AutomationFact, FailedCheck, RunFact, TickOutcome

# A run that failed longer ago and was never done again is history; what it did not build, freshness still says.
LOOKBACK: Final = timedelta(days=7)
_TICKS: Final = 25
_WILL_RETRY: Final = "dagster/will_retry"
_RETRIED_BY: Final = "dagster/auto_retry_run_id"
# A retry that has not come by then will not come: its daemon was gone.
RETRY_COMES_WITHIN: Final = timedelta(hours=1)
_BACKFILL: Final = "dagster/backfill"
_AD_HOC: Final = "__ASSET_JOB"
_ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def run_facts(instance: dg.DagsterInstance, now: datetime) -> list[RunFact]:
    """The runs that ended lately. One that a person cancelled, or started by hand for a few assets, they see."""
    records = instance.get_run_records(filters=dg.RunsFilter(statuses=_ENDED, updated_after=now - LOOKBACK))
    return [_run_fact(instance, record, now) for record in records if is_watched(record.dagster_run)]


def is_watched(run: dg.DagsterRun) -> bool:
    """Whether a run is of a job or a backfill, and not a few assets that a person chose."""
    return run.job_name != _AD_HOC or _BACKFILL in run.tags


def starts_again(run: dg.DagsterRun, ended_at: datetime, now: datetime) -> bool:
    """Whether a failed run is started again by itself, or may still be."""
    is_promised = run.status is dg.DagsterRunStatus.FAILURE and run.tags.get(_WILL_RETRY, "false").lower() == "true"
    return is_promised and (_RETRIED_BY in run.tags or now - ended_at < RETRY_COMES_WITHIN)


def _run_fact(instance: dg.DagsterInstance, record: Any, now: datetime) -> RunFact:  # noqa: ANN401 - RunRecord, which Dagster exports not
    run: dg.DagsterRun = record.dagster_run
    ended_at = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
    is_failed = run.status is dg.DagsterRunStatus.FAILURE
    will_retry = starts_again(run, ended_at, now)
    return RunFact(
        run_id=run.run_id,
        job=run.job_name,
        parts=parts_of(run.tags),
        ended_at=ended_at,
        succeeded=not is_failed,
        will_retry=will_retry,
        problem=_problem(instance, run.run_id) if is_failed and not will_retry else "",
        checks=tuple(_failed_checks(instance, run.run_id)) if is_failed and not will_retry else (),
        day=day_held(run.tags, ended_at),
    )


def parts_of(run_tags: Mapping[str, str]) -> tuple[str, ...]:
    """What a run covers: windows, days, hours, or the keys of partitions of another kind; () for a run of none."""
    readers: tuple[Callable[[Mapping[str, str]], Iterable[object]], ...] = (_windows, days_of, hours_of)
    for read in readers:
        with suppress(ValueError):
            return tuple(str(part) for part in read(run_tags))
    return tuple(run_tags[tag] for tag in (SINGLE, RANGE_START, RANGE_END) if tag in run_tags)


def _windows(run_tags: Mapping[str, str]) -> list[str]:
    return [f"window {number}" for number in windows_of(run_tags)]


def day_held(run_tags: Mapping[str, str], ended_at: datetime) -> date | None:
    """The day of a run over windows or hours, which are parts of one; None for any other run."""
    if WINDOWS_TAG in run_tags:
        return ended_at.date()
    with suppress(ValueError):
        return datetime.strptime(hours_of(run_tags)[0], HOUR_FORMAT).replace(tzinfo=UTC).date()
    return None


def _problem(instance: dg.DagsterInstance, run_id: str) -> str:
    """Which steps failed. What they said may quote rows, and stays in the run."""
    failed = [
        step.step_key for step in instance.get_run_step_stats(run_id) if step.status and step.status.value == "FAILURE"
    ]
    return (
        f"{', '.join(failed[:5])}{' and more' if len(failed) > 5 else ''} failed"
        if failed
        else "it ended without a step"
    )


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[FailedCheck]:
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if entry.dagster_event is None:
            continue
        found = cast("dg.AssetCheckEvaluation", entry.dagster_event.event_specific_data)
        if not found.passed and (found.blocking or found.severity is dg.AssetCheckSeverity.ERROR):
            yield FailedCheck(found.asset_key.to_user_string(), found.check_name, found.description or "it failed")


def automation_facts(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, *, besides: str
) -> list[AutomationFact]:
    """The schedules and sensors that start by themselves here, but the one that asks."""
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    schedules = [it.name for it in repository.schedule_defs if it.default_status is dg.DefaultScheduleStatus.RUNNING]
    sensors = [it.name for it in repository.sensor_defs if it.default_status is dg.DefaultSensorStatus.RUNNING]
    found = [(name, "schedule") for name in schedules] + [(name, "sensor") for name in sensors]
    return [_automation(instance, name, kind, states.get(name)) for name, kind in found if name != besides]


def _automation(instance: dg.DagsterInstance, name: str, kind: Any, state: Any) -> AutomationFact:  # noqa: ANN401 - InstigatorState
    if state is None:
        return AutomationFact(name, kind, is_stopped=False, ticks=())
    ticks: Sequence[Any] = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=_TICKS)
    outcomes = tuple(
        (datetime.fromtimestamp(it.timestamp, UTC), cast("TickOutcome", it.status.value.lower())) for it in ticks
    )
    error = next(
        (it.error.message.strip().splitlines()[0] for it in ticks if it.error and it.error.message.strip()), ""
    )
    return AutomationFact(name, kind, state.status.value == "STOPPED", outcomes, error[:300])
