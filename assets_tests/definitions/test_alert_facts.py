"""What Dagster's own records say of runs, checks, schedules and sensors, read from a real instance.

Belongs here: the facts that alerts are made from. Does not: what follows from them (unit/test_alert_sources).
"""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from payments_platform.definitions import defs
from payments_platform.defs._platform.instance_facts import automation_facts, day_held, parts_of, run_facts
from payments_platform.defs._platform.partitions import RANGE_END, RANGE_START, SINGLE, WINDOWS_TAG
from payments_platform.defs.operations.alerts import NAME

DAY = {SINGLE: "2025-01-01"}


@dg.asset
def payments() -> None:
    """Something to check."""


@dg.asset_check(asset=payments, blocking=True)
def holds(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Pass unless the run says otherwise."""
    fails = "fails" in context.run.tags
    return dg.AssetCheckResult(passed=not fails, description="2 rows broke R-amount-sign" if fails else None)


def run(instance: dg.DagsterInstance, **tags: str) -> None:
    definitions = dg.Definitions(
        assets=[payments], asset_checks=[holds], jobs=[dg.define_asset_job("daily", selection="*")]
    )
    job = definitions.resolve_job_def("daily")
    job.execute_in_process(instance=instance, tags={**DAY, **tags}, raise_on_error=False)


@pytest.mark.row("A3", "E1")
def test_a_failed_run_names_its_days_and_the_check_that_stopped_it() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, fails="yes")
        (fact,) = run_facts(instance, datetime.now(UTC))
    assert (fact.job, fact.parts, fact.succeeded, fact.will_retry) == ("daily", ("2025-01-01",), False, False)
    assert [(it.asset, it.name, it.text) for it in fact.checks] == [("payments", "holds", "2 rows broke R-amount-sign")]
    assert "payments_holds" in fact.problem


def test_a_good_run_and_one_that_will_be_retried_are_told_apart() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run(instance)
        run(instance, fails="yes", **{"dagster/will_retry": "true"})
        facts = sorted(run_facts(instance, datetime.now(UTC)), key=lambda fact: fact.ended_at)
    assert [(fact.succeeded, fact.will_retry) for fact in facts] == [(True, False), (False, True)]


@pytest.mark.parametrize("more, passed, will_retry", [
    ({}, timedelta(minutes=59), True),
    ({}, timedelta(minutes=61), False),
    ({"dagster/auto_retry_run_id": "0"}, timedelta(hours=3), True),
])  # fmt: skip
def test_a_promised_retry_that_does_not_come_is_believed_for_an_hour(
    more: dict[str, str], passed: timedelta, *, will_retry: bool
) -> None:
    """The daemon that was to start it was gone: nobody would ever be told."""
    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, fails="yes", **{"dagster/will_retry": "true", **more})
        (fact,) = run_facts(instance, datetime.now(UTC) + passed)
    assert fact.will_retry == will_retry
    assert [it.name for it in fact.checks] == ([] if will_retry else ["holds"])
    assert bool(fact.problem) != will_retry


@pytest.mark.parametrize("tags, parts, day", [
    ({WINDOWS_TAG: "3-5"}, ("window 3", "window 4", "window 5"), "today"),
    ({SINGLE: "2025-01-01-23:00"}, ("2025-01-01-23:00",), "2025-01-01"),
    ({RANGE_START: "2025-01-01-23:00", RANGE_END: "2025-01-02-00:00"}, ("2025-01-01-23:00", "2025-01-02-00:00"),
     "2025-01-01"),
    ({RANGE_START: "2025-01-01", RANGE_END: "2025-01-02"}, ("2025-01-01", "2025-01-02"), None),
    ({SINGLE: "2025-01"}, ("2025-01",), None),
    ({}, (), None),
])  # fmt: skip
def test_a_run_says_which_windows_hours_or_days_it_covers(
    tags: dict[str, str], parts: tuple[str, ...], day: str | None
) -> None:
    ended = datetime(2025, 1, 3, tzinfo=UTC)
    known = {None: None, "today": ended.date()}
    assert parts_of(tags) == parts
    assert day_held(tags, ended) == (known[day] if day in known else date.fromisoformat(str(day)))


@pytest.mark.row("A3")
def test_every_sensor_that_starts_by_itself_is_watched_but_the_one_that_watches() -> None:
    repository = defs.get_repository_def()
    with dg.instance_for_test() as instance:
        names = {fact.name for fact in automation_facts(instance, repository, besides=NAME)}
    running = {it.name for it in repository.sensor_defs if it.default_status is dg.DefaultSensorStatus.RUNNING}
    assert names == running - {NAME}
    assert NAME in running


@pytest.mark.row("C7")
def test_alerts_are_evaluated_at_least_every_half_minute_and_start_no_run() -> None:
    (sensor,) = [it for it in defs.get_repository_def().sensor_defs if it.name == NAME]
    assert sensor.minimum_interval_seconds is not None
    assert sensor.minimum_interval_seconds <= 30
    assert sensor.targets == []
