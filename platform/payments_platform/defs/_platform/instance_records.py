"""What Dagster's instance recorded of runs and tasks, as the frames that figures are made from.

Belongs here: reading the instance. Does not: ticks (instance_ticks.py), what a figure is (operations/figures), what
alerts look at (instance_facts.py).
"""

from collections.abc import Iterator, MutableMapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import dagster as dg
import polars as pl

from payments_platform.contracts.figures import RUN_RECORDS, WHOLE_RUN
from payments_platform.defs._platform.instance_facts import RETRY_COMES_WITHIN, is_watched, starts_again

Rows = Sequence[Sequence[object]]
_OUTCOMES: Final = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}
_DUE_TAG: Final = ".dagster/scheduled_execution_time"
_RETRY_NUMBER: Final = "dagster/retry_number"
_BATCH: Final = 500


def run_records(
    instance: dg.DagsterInstance,
    first: date,
    end: date,
    now: datetime,
    known: MutableMapping[str, Rows] | None = None,
) -> pl.DataFrame:
    """The rows of ``operations/run_records`` for the days ``[first, end)``.

    What ``known`` holds is not asked again, for a caller that looks often: an ended run does not change.
    """
    begins, ends = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, end))
    kept: MutableMapping[str, Rows] = {} if known is None else known
    rows: list[Sequence[object]] = []
    for record in _ended(instance, begins):
        if begins <= _ended_at(record) < ends:
            rows += _rows_of(instance, record, now, kept)
    return pl.DataFrame(rows, schema=RUN_RECORDS.schema, orient="row")


def _ended(instance: dg.DagsterInstance, since: datetime) -> Iterator[Any]:
    """Records of ended runs that changed since then, some at a time."""
    filters, cursor = dg.RunsFilter(statuses=list(_OUTCOMES), updated_after=since), None
    while True:
        found = instance.get_run_records(filters=filters, limit=_BATCH, cursor=cursor)
        yield from (record for record in found if is_watched(record.dagster_run))
        if len(found) < _BATCH:
            return
        cursor = found[-1].dagster_run.run_id


def _ended_at(record: Any) -> datetime:  # noqa: ANN401 - RunRecord, which Dagster exports not
    return _moment(record.end_time) or record.update_timestamp.astimezone(UTC)


def _rows_of(
    instance: dg.DagsterInstance,
    record: Any,  # noqa: ANN401 - RunRecord
    now: datetime,
    kept: MutableMapping[str, Rows],
) -> Rows:
    run_id = record.dagster_run.run_id
    if run_id not in kept:
        rows = list(_read(instance, record, now))
        if now - _ended_at(record) < RETRY_COMES_WITHIN:
            return rows  # whether it is retried may still be decided
        kept[run_id] = rows
    return kept[run_id]


def _read(instance: dg.DagsterInstance, record: Any, now: datetime) -> Iterator[Sequence[object]]:  # noqa: ANN401 - RunRecord
    """The row of a run, and one for each of its tasks that ended."""
    run, ended_at = record.dagster_run, _ended_at(record)
    tasks = [it for it in instance.get_run_step_stats(run.run_id) if it.status and it.status.value != "SKIPPED"]
    yield (
        ended_at.date(), run.run_id, WHOLE_RUN, run.job_name, _OUTCOMES[run.status],
        not starts_again(run, ended_at, now),
        int(run.tags.get(_RETRY_NUMBER, "0")) + 1, len(tasks), _due_at(run.tags.get(_DUE_TAG)),
        record.create_timestamp.astimezone(UTC), _moment(record.start_time), ended_at,
    )  # fmt: skip
    for task in tasks:
        if task.end_time is not None and task.status is not None:
            outcome = "succeeded" if task.status.value == "SUCCESS" else "failed"
            yield (
                ended_at.date(), run.run_id, task.step_key, run.job_name, outcome, True, max(task.attempts or 1, 1),
                None, None, None, _moment(task.start_time), _moment(task.end_time),
            )  # fmt: skip


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _due_at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def first_run_at(instance: dg.DagsterInstance) -> datetime | None:
    """When the platform ran something for the first time; None while it never has."""
    found = instance.get_run_records(limit=1, ascending=True)
    return found[0].create_timestamp.astimezone(UTC) if found else None
