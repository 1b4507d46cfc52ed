"""What Dagster's own records say of runs, tasks and ticks, read from a real instance.

Belongs here: the rows that figures are made from. Does not: the figures (unit/test_weekly_figures).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from payments_platform.contracts.figures import WHOLE_RUN
from payments_platform.defs._platform.instance_records import first_run_at, run_records
from payments_platform.operations.figures.periods import Span
from payments_platform.operations.figures.ticks import Automation, Tick, tick_records

NOW = datetime.now(UTC)
TODAY = NOW.date()


@dg.op
def fetch(context: dg.OpExecutionContext) -> int:
    """Fail when the run says so; need a second attempt when it says so."""
    if "fails" in context.run.tags:
        raise dg.Failure("the disk is full", allow_retries=False)
    if "stumbles" in context.run.tags and context.retry_number == 0:
        raise dg.RetryRequested(max_retries=1)
    return 1


@dg.op
def keep(context: dg.OpExecutionContext, fetched: int) -> None:
    """Something that waits for the other."""
    context.log.info("%s", fetched)


@dg.job(name="daily")
def daily() -> None:
    """Two tasks."""
    keep(fetch())


@dg.job(name="empty")
def empty() -> None:
    """No task."""


def records(instance: dg.DagsterInstance, known: dict[str, Any] | None = None) -> pl.DataFrame:
    return run_records(instance, TODAY - timedelta(days=1), TODAY + timedelta(days=2), datetime.now(UTC), known)


def run(instance: dg.DagsterInstance, tags: dict[str, str] | None = None, job: dg.JobDefinition = daily) -> str:
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).run_id


def whole(frame: pl.DataFrame) -> dict[str, Any]:
    (row,) = frame.filter(pl.col("task") == WHOLE_RUN).iter_rows(named=True)
    return row


@pytest.mark.row("R6", "A1")
def test_a_run_and_its_tasks_are_rows_with_their_times() -> None:
    due = datetime.now(UTC) - timedelta(seconds=90)
    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, {".dagster/scheduled_execution_time": due.isoformat()})
        frame = records(instance)
        began = first_run_at(instance)
    row = whole(frame)
    assert (row["job_name"], row["outcome"], row["is_final"], row["attempts"]) == ("daily", "succeeded", True, 1)
    assert (row["task_count"], row["due_at"]) == (2, due)
    assert row["created_at"] <= row["started_at"] <= row["ended_at"]
    tasks = frame.filter(pl.col("task") != WHOLE_RUN)
    assert sorted(tasks["task"]) == ["fetch", "keep"]
    assert tasks["attempts"].to_list() == [1, 1]
    assert tasks.filter(pl.col("started_at") > pl.col("ended_at")).is_empty()
    assert began == row["created_at"]


@pytest.mark.row("R6")
def test_a_task_that_was_tried_again_says_so_and_a_failed_run_keeps_its_tasks() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        stumbled, failed = run(instance, {"stumbles": "yes"}), run(instance, {"fails": "yes"})
        frame = records(instance)
    tried = frame.filter(pl.col("run_id") == stumbled, pl.col("task") == "fetch")
    assert (tried["attempts"].item(), tried["outcome"].item()) == (2, "succeeded")
    broken = frame.filter(pl.col("run_id") == failed)
    assert whole(broken)["outcome"] == "failed"
    assert broken.filter(pl.col("task") == "fetch")["outcome"].item() == "failed"
    assert "keep" not in broken["task"].to_list()


@pytest.mark.row("R6")
def test_a_run_that_did_nothing_has_no_task() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, job=empty)
        assert whole(records(instance))["task_count"] == 0


@pytest.mark.row("R6")
def test_an_attempt_that_starts_again_is_not_final_and_the_next_knows_its_number() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = run(instance, {"fails": "yes", "dagster/will_retry": "true"})
        second = run(instance, {"dagster/retry_number": "1"})
        frame = records(instance)
        finals = {row["run_id"]: (row["is_final"], row["attempts"]) for row in frame.iter_rows(named=True)
                  if row["task"] == WHOLE_RUN}  # fmt: skip
        later = run_records(
            instance, TODAY - timedelta(days=1), TODAY + timedelta(days=2), datetime.now(UTC) + timedelta(hours=2)
        )
    assert finals == {first: (False, 1), second: (True, 2)}
    # Two hours later nothing has come: its daemon was gone, and the failure counts.
    assert whole(later.filter(pl.col("run_id") == first))["is_final"]


def test_assets_that_a_person_chose_are_no_run_of_a_job() -> None:
    @dg.asset
    def chosen() -> None:
        """Made by hand."""

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([chosen], instance=instance)
        dg.Definitions(assets=[chosen]).resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
        assert set(records(instance)["job_name"]) <= {"__ephemeral_asset_job__"}


def test_a_run_is_asked_for_once_by_who_remembers() -> None:
    known: dict[str, Any] = {}
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = run(instance)
        late = datetime.now(UTC) + timedelta(hours=2)
        window = (TODAY - timedelta(days=1), TODAY + timedelta(days=2), late)
        first = run_records(instance, *window, known)
        assert set(known) == {run_id}
        instance.get_run_step_stats = lambda *_: 1 / 0  # type: ignore[method-assign, assignment]
        assert run_records(instance, *window, known).equals(first)


DAY = Span(TODAY, TODAY + timedelta(days=1), "today")


def after(*seconds: float) -> list[Tick]:
    return [Tick(DAY.starts_at + timedelta(seconds=it), DAY.starts_at + timedelta(seconds=it + 1)) for it in seconds]


@pytest.mark.row("R6")
def test_a_sensor_is_late_by_what_lies_beyond_its_interval_the_night_before_included() -> None:
    ticks = after(-20, 15, 45, 80, 500)
    frame = tick_records([Automation("alerts", "sensor", ticks, timedelta(seconds=30))], DAY, after(510)[0].at)
    (row,) = frame.iter_rows(named=True)
    assert (row["tick_count"], row["measured_count"], row["longest_lag_seconds"]) == (4, 4, 390.0)
    assert row["p95_lag_seconds"] == 390.0


@pytest.mark.row("R6")
def test_a_schedule_is_late_by_the_time_from_its_due_moment_to_its_end() -> None:
    ticks = [Tick(DAY.starts_at, DAY.starts_at + timedelta(seconds=31)), Tick(DAY.starts_at, None, is_failed=True)]
    frame = tick_records([Automation("nightly", "schedule", ticks)], DAY, DAY.ends_at)
    (row,) = frame.iter_rows(named=True)
    assert (row["tick_count"], row["failed_count"], row["measured_count"]) == (2, 1, 1)
    assert row["longest_lag_seconds"] == 31.0


@pytest.mark.row("R6")
def test_gaps_that_removed_ticks_leave_are_no_lag() -> None:
    """The instance forgets skipped ticks after two days: the hours between the others would read as hours late."""
    frame = tick_records(
        [Automation("old", "sensor", after(10, 40_000), timedelta(30), is_complete=False)], DAY, DAY.ends_at
    )
    (row,) = frame.iter_rows(named=True)
    assert (row["tick_count"], row["measured_count"], row["p95_lag_seconds"]) == (2, 0, None)


@pytest.mark.row("R6")
def test_what_was_not_waited_for_that_day_has_no_row() -> None:
    """A sensor that is new, one whose ticks of the day were removed, and a schedule of other days."""
    new = Automation("new", "sensor", after(90_000))
    old = Automation("old", "sensor", after(-500, 90_000), is_complete=False)
    other = Automation("monthly", "schedule", after(-500, 90_000))
    assert tick_records([new, old, other], DAY, DAY.ends_at).is_empty()
