"""Sensors that look after runs. Belongs here: what follows a run's end. Does not: runs that follow data."""

from typing import Final

import dagster as dg

from payments_platform.clients.dagster import fail_dead_runs
from payments_platform.defs._platform.partitions import RANGE_END, RANGE_START, SINGLE
from payments_platform.defs.jobs import daily_oltp_to_dwh, lake_to_landing, quality_report_of_a_failed_run

_DAYS: Final = (RANGE_START, RANGE_END, SINGLE)


@dg.run_failure_sensor(
    name="quality_report_after_a_failed_run",
    description="Writes the quality report that a failed run's own blocking checks kept from being written.",
    monitored_jobs=[daily_oltp_to_dwh, lake_to_landing],
    request_job=quality_report_of_a_failed_run,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=15,
)
def quality_report_after_a_failed_run(context: dg.RunFailureSensorContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for the report of the failed run's days, once a run."""
    days = {tag: day for tag, day in context.dagster_run.tags.items() if tag in _DAYS}
    if not days:
        return dg.SkipReason("the run covered no day")
    return dg.RunRequest(run_key=context.dagster_run.run_id, tags=days)


@dg.sensor(
    name="end_of_killed_runs",
    description="Marks runs whose process was killed as failed, and frees what they held.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
)
def end_of_killed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Look at the processes of the runs that are under way."""
    ended = fail_dead_runs(context.instance)
    return dg.SkipReason(f"ended: {', '.join(ended)}" if ended else "every run under way has its process")
