"""Sensors that look after runs: a failed day gets its report, a killed run gets its end."""

import platform

import dagster as dg
import pytest

from payments_platform.clients.dagster import PROCESS_TAG
from payments_platform.definitions import defs
from payments_platform.defs._platform.partitions import RANGE_END, RANGE_START, SINGLE
from payments_platform.defs.sensors import end_of_killed_runs, quality_report_after_a_failed_run

# A process id that Linux never gives, and a start long ago.
NOBODY = "4194305:1.00"


@dg.op
def refuses() -> None:
    """Fail, as a blocking check does."""
    raise dg.Failure("the day broke a rule")


@dg.job(name="daily_oltp_to_dwh")
def failing() -> None:
    """A run that ends badly."""
    refuses()


def asked_for(tags: dict[str, str]) -> dg.RunRequest | dg.SkipReason:
    with dg.DagsterInstance.ephemeral() as instance:
        result = failing.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
        context = dg.build_run_status_sensor_context(
            sensor_name="quality_report_after_a_failed_run",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        )
        found = quality_report_after_a_failed_run(context.for_run_failure())
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


@pytest.mark.row("B2")
@pytest.mark.parametrize("days", [{SINGLE: "2025-01-01"}, {RANGE_START: "2025-01-01", RANGE_END: "2025-01-03"}])
def test_a_failed_run_is_followed_by_the_report_of_its_days(days: dict[str, str]) -> None:
    """Without it the days that went wrong are the ones of which the report says nothing."""
    request = asked_for({**days, "dagster/priority": "10"})
    assert isinstance(request, dg.RunRequest)
    assert request.run_key
    assert {tag: day for tag, day in request.tags.items() if tag in {SINGLE, RANGE_START, RANGE_END}} == days


def test_a_failed_run_without_days_has_nothing_to_report() -> None:
    assert isinstance(asked_for({}), dg.SkipReason)


@pytest.mark.row("B2")
def test_the_report_alone_does_not_ask_whether_the_days_passed() -> None:
    """It would fail a second time for what the failed run has said already."""
    steps = {node.name for node in defs.resolve_job_def("quality_report_of_a_failed_run").nodes}
    assert steps == {"quality_report", "operations_quality_report_checks"}


@pytest.mark.row("E1")
def test_a_run_whose_process_was_killed_is_marked_as_failed() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(
            failing, status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: f"{platform.node()}:{NOBODY}"}
        )
        skipped = end_of_killed_runs(dg.build_sensor_context(instance=instance))
        ended = instance.get_run_by_id(run.run_id)
    assert run.run_id in str(skipped)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
