"""Schedules and sensors of the five jobs over real definitions and a real instance; time is given.

Belongs here: what is asked for, and what of the definitions follows from the promised terms. Does not: the choice over
plain facts (unit/test_due_runs).
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.catalogue import WATCHED, dataset, of_zone
from payments_platform.contracts.due import Due
from payments_platform.contracts.sample import sample
from payments_platform.definitions import defs
from payments_platform.defs import jobs
from payments_platform.defs._platform.at_work import DayAtWork, refuse_at_work
from payments_platform.defs._platform.job_facts import reach_of
from payments_platform.defs._platform.partitions import RANGE_END, RANGE_START, SINGLE
from payments_platform.defs.job_schedules import GRACE, automations, partition_of
from payments_platform.lake.partitions import Lake
from payments_platform.lake.paths import keeper
from payments_platform.operations.job_terms import DAILY, FEATURES, FIVE_JOBS, TRAINING, JobTerms
from payments_platform.vocabulary import LAKE_ZONES, days_between
from payments_platform.warehouse.load_times import SCHEMA

PROJECT = Path(__file__).resolve().parents[2]
REPOSITORY = defs.get_repository_def()
STRUCK = datetime(2025, 3, 30, 2, tzinfo=UTC)
NOW = STRUCK + GRACE
TEN = days_between(date(2025, 3, 20), date(2025, 3, 30))
every_job = pytest.mark.parametrize("terms", FIVE_JOBS, ids=lambda terms: terms.name)


class Record:
    """A warehouse of which only the record of loads is asked."""

    def __init__(self, days: list[date]) -> None:
        self._days = days

    def load_times(self) -> pl.DataFrame:
        names = [it.name for it in WATCHED if it.zone not in LAKE_ZONES and isinstance(it.deadline, Due)]
        rows = [(name, day) for name in names for day in self._days]
        at = datetime.combine(self._days[0], datetime.min.time(), UTC) if self._days else NOW
        values = {"is_passed": True, "first_landed_at": at, "data_as_of": at}
        frame = pl.DataFrame(rows, schema={"dataset": pl.String, "partition_date": pl.Date}, orient="row")
        known = frame.with_columns(**{name: pl.lit(it) for name, it in values.items() if name in SCHEMA})
        absent = [pl.lit(None, dtype).alias(name) for name, dtype in SCHEMA.items() if name not in known.columns]
        return known.with_columns(absent).select(*SCHEMA)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture(scope="module")
def lake() -> Lake:
    """The lake half of ten days, the last of them yesterday; what is missing, a test takes from the warehouse."""
    lake = Lake(MemoryStorage())
    for day in TEN:
        for kept in (
            *(it for zone in ("raw", "clean", "curated") for it in of_zone(zone)),
            dataset("operations/quality_report"),
        ):
            if kept.is_daily and keeper(kept) == kept:
                made = [it for zone in LAKE_ZONES for it in of_zone(zone) if keeper(it) == kept]
                lake.write(day, {it: sample(it, 1) for it in made}, code_version="test", now=NOW)
                lake.set_verdict(kept, day, "passed")
    return lake


def struck(instance: dg.DagsterInstance, now: datetime) -> list[dg.RunRequest]:
    """What the daily schedule asks for when its tick of two o'clock is evaluated at ``now``."""
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=STRUCK,
        repository_def=REPOSITORY,
        resources={"clock": lambda: now},
    )
    return list(defs.resolve_schedule_def("daily_oltp_to_dwh_schedule").evaluate_tick(context).run_requests or ())


def looked(instance: dg.DagsterInstance, lake: Lake, there: list[date], now: datetime = NOW) -> list[dg.RunRequest]:
    """What the daily job's sensor asks for when these days are there."""
    context = dg.build_sensor_context(
        instance=instance,
        repository_def=REPOSITORY,
        resources={"lake": lake, "warehouse": Record(there), "clock": lambda: now},
    )
    return list(REPOSITORY.get_sensor_def("daily_oltp_to_dwh_when_due").evaluate_tick(context).run_requests or ())


def shown(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    tags = [request.tags for request in requests]
    return [(it.get(RANGE_START, it.get(SINGLE, "")), it.get(RANGE_END, it.get(SINGLE, ""))) for it in tags]


def run_of(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **days: str) -> None:
    job = defs.resolve_job_def("daily_oltp_to_dwh")
    instance.create_run_for_job(job, status=status, tags={name.replace("_", "/", 1): day for name, day in days.items()})


@pytest.mark.row("B1", "R1", "O7")
def test_the_schedule_asks_for_yesterday_at_two(instance: dg.DagsterInstance) -> None:
    """02:00 UTC: the day is over everywhere the source writes, and four hours remain."""
    schedule = defs.resolve_schedule_def("daily_oltp_to_dwh_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "UTC")
    assert shown(struck(instance, STRUCK)) == [("2025-03-29", "2025-03-29")]


@pytest.mark.row("R1")
def test_no_day_is_asked_for_by_schedule_and_sensor(instance: dg.DagsterInstance, lake: Lake) -> None:
    """Whenever a tick is evaluated, one of the two has the day and the other leaves it."""
    there = TEN[:-1]
    for seconds in (0, 60, 899, 900, 901, 7200):
        now = STRUCK + timedelta(seconds=seconds)
        both = shown(struck(instance, now)) + shown(looked(instance, lake, there, now))
        assert both == [("2025-03-29", "2025-03-29")], seconds


@pytest.mark.row("R1")
def test_a_daemon_that_was_down_for_days_asks_for_them_in_one_run_and_only_once(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    """Five runs at once on a machine with place for two would make the newest day late as well."""
    there = TEN[:2]
    requests = looked(instance, lake, there)
    assert shown(requests) == [("2025-03-22", "2025-03-29")]
    run_of(instance, dg.DagsterRunStatus.NOT_STARTED, dagster_asset_partition_range_start="2025-03-22",
           dagster_asset_partition_range_end="2025-03-29")  # fmt: skip
    assert shown(looked(instance, lake, there)) == []
    assert shown(struck(instance, STRUCK)) == []


@pytest.mark.row("R1")
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_day_that_a_run_is_at_work_on_is_asked_for_by_nobody(
    instance: dg.DagsterInstance, lake: Lake, status: dg.DagsterRunStatus
) -> None:
    run_of(instance, status, dagster_partition="2025-03-29")
    assert struck(instance, STRUCK) == []
    assert looked(instance, lake, TEN[:-1]) == []


@pytest.mark.row("R1", "C7")
def test_a_backfill_of_the_same_datasets_counts_as_work_on_the_day(instance: dg.DagsterInstance, lake: Lake) -> None:
    job = defs.resolve_job_def("lake_to_landing")
    tags = {RANGE_START: "2025-03-28", RANGE_END: "2025-03-29"}
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    assert shown(looked(instance, lake, TEN[:-3])) == [("2025-03-27", "2025-03-27")]


@pytest.mark.row("R1")
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_person_is_refused_a_day_that_a_run_is_at_work_on(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    """Two runs of a day would take turns at its files, and each would check what the other wrote."""
    run_of(instance, status, dagster_partition="2025-03-29")
    around = {RANGE_START: "2025-03-01", RANGE_END: "2025-03-31"}
    for job, tags in (("daily_oltp_to_dwh", {SINGLE: "2025-03-29"}), ("lake_to_landing", around)):
        with pytest.raises(DayAtWork, match=r"2025-03-29 is being built by run .* of daily_oltp_to_dwh"):
            refuse_at_work(instance, REPOSITORY, job, tags)


@pytest.mark.row("R1")
def test_a_person_builds_another_day_other_assets_and_a_day_whose_run_has_ended(instance: dg.DagsterInstance) -> None:
    run_of(instance, dg.DagsterRunStatus.STARTED, dagster_partition="2025-03-29")
    run_of(instance, dg.DagsterRunStatus.FAILURE, dagster_partition="2025-03-28")
    refuse_at_work(instance, REPOSITORY, "daily_oltp_to_dwh", {SINGLE: "2025-03-28"})
    refuse_at_work(instance, REPOSITORY, "platform_figures", {SINGLE: "2025-03-29"})
    refuse_at_work(instance, REPOSITORY, "warehouse_models", {})


@pytest.mark.row("R1")
def test_two_requests_for_a_partition_wait_for_each_other_in_the_queue() -> None:
    """Whoever else asks, a person or a re-execution: the queue takes no second run of a partition that runs."""
    limits = yaml.safe_load((PROJECT / "dagster.yaml").read_text())["concurrency"]["runs"]["tag_concurrency_limits"]
    assert {"key": SINGLE, "value": {"applyLimitPerUniqueValue": True}, "limit": 1} in limits


@every_job
@pytest.mark.row("R1", "R2", "R3", "R4", "R5")
def test_a_job_has_the_priority_and_the_limit_of_its_terms(terms: JobTerms) -> None:
    tags = defs.resolve_job_def(terms.name).tags
    assert tags["dagster/priority"] == {"high": "10", "medium": "5"}[terms.priority]
    assert int(tags["dagster/max_runtime"]) == 2 * terms.takes.total_seconds()


@pytest.mark.row("R1", "R2", "R3", "R4", "R5")
def test_the_terms_are_those_that_were_promised() -> None:
    promised = [
        ("daily_oltp_to_dwh", "0 2 * * *", 120, "high"),
        ("hourly_feature_refresh", "0 * * * *", 15, "medium"),
        ("weekly_ml_training", "0 2 * * 0", 240, "high"),
        ("daily_customer_360_build", None, 60, "medium"),
        ("monthly_compliance_report", None, 30, "high"),
    ]
    assert [(it.name, it.cron, it.takes.total_seconds() / 60, it.priority) for it in FIVE_JOBS] == promised


@pytest.mark.parametrize(
    "terms, at, key",
    [
        (DAILY, datetime(2028, 3, 1, 2, tzinfo=UTC), "2028-02-29"),
        (FEATURES, datetime(2028, 3, 1, tzinfo=UTC), "2028-02-29-23:00"),
        (TRAINING, datetime(2028, 3, 5, 2, tzinfo=UTC), "2028-02-27"),
    ],
    ids=["day", "hour", "week"],
)
@pytest.mark.row("R1", "R2", "R3")
def test_a_schedule_asks_for_the_period_that_ended_before_it_struck(terms: JobTerms, at: datetime, key: str) -> None:
    assert partition_of(terms, at).key == key


@every_job
@pytest.mark.row("R1", "R2", "R3", "R4", "R5")
def test_a_job_that_makes_something_is_scheduled_and_one_that_makes_nothing_is_not(terms: JobTerms) -> None:
    """A run of no step succeeds: it would be counted, and nobody would see that nothing is made."""
    made = defs.resolve_job_def(terms.name).asset_layer.executable_asset_keys
    sensors = {it.name for it in REPOSITORY.sensor_defs}
    schedules = {it.name for it in REPOSITORY.schedule_defs}
    assert (f"{terms.name}_when_due" in sensors) == bool(made)
    assert (f"{terms.name}_schedule" in schedules) == (bool(made) and terms.cron is not None)
    # What cannot be late is never missing, and its job would never be asked for.
    assert bool(reach_of(REPOSITORY, terms.name).makes) == bool(made)


@every_job
@pytest.mark.row("R1", "R2", "R3", "R4", "R5")
def test_the_readme_says_planned_of_a_job_until_it_makes_something(terms: JobTerms) -> None:
    made = defs.resolve_job_def(terms.name).asset_layer.executable_asset_keys
    row = re.compile(rf"^\| `{terms.name}` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)
    found = row.search((PROJECT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    minutes = int(terms.takes.total_seconds() // 60)
    takes = f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"
    assert found.groups() == (terms.makes, terms.when, terms.priority, takes, "runs" if made else "planned")


def test_a_group_that_gets_an_asset_gets_its_schedule_and_sensor() -> None:
    """Nobody has to remember to schedule what comes later."""

    @dg.asset(group_name="features", key_prefix="features")
    def card_velocity() -> None: ...

    @dg.asset(group_name="governance", key_prefix="governance")
    def report() -> None: ...

    def added(*assets: Any) -> set[str]:  # noqa: ANN401 - whatever definitions hold
        made = automations([*(defs.assets or ()), *assets])
        return {it.name for it in (*(made.schedules or ()), *(made.sensors or ())) if DAILY.name not in it.name}

    assert added() == set()
    assert added(card_velocity) == {"hourly_feature_refresh_schedule", "hourly_feature_refresh_when_due"}
    assert added(report) == {"monthly_compliance_report_when_due"}


@pytest.mark.parametrize("environment", ["local", "test", "staging", "production"])
def test_jobs_start_by_themselves_where_their_terms_say_so(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", environment)
    made = automations(defs.assets or ())
    states = {it.default_status.value for it in (*(made.schedules or ()), *(made.sensors or ()))}
    assert states == {"RUNNING" if environment in DAILY.starts_in else "STOPPED"}
    assert DAILY.starts_in == {"staging", "production"}


def test_every_term_has_its_job() -> None:
    assert tuple(jobs.SELECTED) == FIVE_JOBS
