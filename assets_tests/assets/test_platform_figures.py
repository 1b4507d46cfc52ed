"""The platform's figures of itself as assets: from a real instance's records to the register.

Belongs here: what only the assets show: what is kept, what is read. Does not: the computation (unit/).
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from assets_tests.assets.conftest import DAY, checks_of, failures_of, materialize
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.figures import DATASETS, RUN_RECORDS, SERVICE_LEVELS, TICK_RECORDS, WEEKLY_FIGURES
from payments_platform.contracts.sample import sample
from payments_platform.defs._platform.figure_facts import FigureFacts
from payments_platform.defs.operations import run_records, service_levels, tick_records, weekly_figures
from payments_platform.defs.operations.alerts import register_of
from payments_platform.lake.partitions import Lake
from payments_platform.operations.figures.periods import month_of, week_of
from payments_platform.warehouse.load_times import SCHEMA

ASSETS = [
    run_records.run_records,
    run_records.run_records_checks,
    tick_records.tick_records,
    tick_records.tick_records_checks,
    weekly_figures.weekly_figures,
    weekly_figures.weekly_figures_checks,
    service_levels.service_levels,
    service_levels.service_levels_checks,
]


class Record:
    """A warehouse of which only the record of loads is asked."""

    def load_times(self) -> pl.DataFrame:
        return pl.DataFrame(schema=SCHEMA)


@pytest.mark.row("R6", "O12", "C4")
def test_a_day_of_figures_is_made_and_judged_by_its_contracts(lake: Lake) -> None:
    result = materialize(ASSETS, lake, warehouse=Record())
    assert failures_of(result) == []
    assert {name for name, check in checks_of(result).items() if not check.passed} == set()
    assert {lake.manifest(it, SAMPLE_DAY).verdict for it in DATASETS} == {"passed"}  # type: ignore[union-attr]
    register = lake.scan(SERVICE_LEVELS, SAMPLE_DAY).collect()
    assert register.height == 5
    assert set(register["verdict"]) == {"not measured"}
    assert lake.scan(WEEKLY_FIGURES, SAMPLE_DAY).collect().is_empty()
    plots = [event for event in result.get_asset_materialization_events() if "plot" in event.materialization.metadata]
    assert {event.partition for event in plots} <= {DAY}


@pytest.mark.row("R6")
def test_ticks_of_an_old_day_stay_as_they_were_seen(full_lake: Lake) -> None:
    """Made again after the instance has forgotten them, they would read as a day that nobody looked at."""
    before = full_lake.scan(TICK_RECORDS, SAMPLE_DAY).collect()
    assert before.height
    result = materialize([tick_records.tick_records, tick_records.tick_records_checks], full_lake)
    assert failures_of(result) == []
    assert full_lake.scan(TICK_RECORDS, SAMPLE_DAY).collect().equals(before)


@dg.op
def works() -> None:
    """Do nothing, well."""


@dg.job(name="some_job")
def some_job() -> None:
    """A run of today."""
    works()


@pytest.mark.row("R6", "O10")
def test_the_week_of_today_is_read_from_the_instance_and_days_before_from_the_lake() -> None:
    """Whoever asks in the middle of a day sees the morning's runs; whoever removed old runs loses no figure."""
    lake, now = Lake(MemoryStorage()), datetime.now(UTC)
    yesterday = now.date() - timedelta(days=1)
    kept = sample(RUN_RECORDS, 1).with_columns(
        partition_date=pl.lit(yesterday),
        ended_at=pl.lit(datetime.now(UTC) - timedelta(days=1)).cast(pl.Datetime("us", "UTC")),
    )
    lake.write(yesterday, {RUN_RECORDS: kept}, code_version="test", now=now)
    lake.set_verdict(RUN_RECORDS, yesterday, "passed")
    with dg.instance_for_test() as instance:
        some_job.execute_in_process(instance=instance)
        facts = FigureFacts(instance, lake, Record())  # type: ignore[arg-type]
        later = datetime.now(UTC)
        today = facts.week(week_of(now.date()), later)
        before = facts.week(week_of(yesterday), later)
        register = facts.month(month_of(now.date()), later)
    counts = {row["subject"]: row["value"] for row in today.iter_rows(named=True) if row["figure"] == "job_executions"}
    assert counts["some_job"] == 1.0
    assert "daily_oltp_to_dwh" in before["subject"].to_list()
    level = register.row(by_predicate=pl.col("service_level") == "pipeline_success", named=True)
    assert level["verdict"] == "met"


@pytest.mark.row("O12")
def test_a_late_day_stays_in_the_register_when_old_runs_are_removed_from_the_instance() -> None:
    """The platform ran before its oldest remaining run; what it missed then was promised all the same."""
    lake, month = Lake(MemoryStorage()), month_of(SAMPLE_DAY)
    now = datetime(2025, 1, 20, 12, tzinfo=UTC)
    lake.write(SAMPLE_DAY, {RUN_RECORDS: sample(RUN_RECORDS, 1)}, code_version="test", now=now)
    lake.set_verdict(RUN_RECORDS, SAMPLE_DAY, "passed")
    with dg.instance_for_test() as instance:
        register = FigureFacts(instance, lake, Record()).month(month, now)  # type: ignore[arg-type]
    level = register.row(by_predicate=pl.col("service_level") == "warehouse_freshness", named=True)
    assert (level["verdict"], level["consequence"]) == ("breached", "incident report")


@pytest.mark.row("O12", "A3")
def test_the_summary_of_the_first_of_a_month_reports_the_month_that_ended() -> None:
    """Said on the first of the new month's own figures, a breach of the last night would be in no summary."""
    with dg.instance_for_test() as instance:
        facts = FigureFacts(instance, Lake(MemoryStorage()), Record())  # type: ignore[arg-type]
        asked: list[str] = []
        facts.month = lambda month, now: asked.append(month.name) or FigureFacts.month(facts, month, now)  # type: ignore[func-returns-value, method-assign]
        (line,) = register_of(facts, datetime(2028, 3, 1, 7, tzinfo=UTC))
        register_of(facts, datetime(2028, 3, 2, 7, tzinfo=UTC))
    assert asked == ["2028-02", "2028-03"]
    assert line.startswith("Service levels of the month: 0 met, 0 breached, 5 not measured")
