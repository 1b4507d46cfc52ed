"""The sensor and the check that say to Dagster which datasets are late.

Belongs here: what reaches the asset graph. Does not: what late means (unit/test_freshness), what is there
(unit/test_evidence).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from assets_tests.fakes.segments import segment
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.catalogue import WATCHED, dataset
from payments_platform.contracts.due import MaxAge
from payments_platform.contracts.sample import sample
from payments_platform.definitions import defs
from payments_platform.defs.operations.alerts import sources_of
from payments_platform.defs.operations.on_time import evaluation, freshness, freshness_now, newest_of
from payments_platform.lake.partitions import Lake
from payments_platform.operations.freshness import Freshness
from payments_platform.operations.on_time import EVENTS_AT_ONCE
from payments_platform.settings import load_settings
from payments_platform.vocabulary import days_between
from payments_platform.warehouse.load_times import SCHEMA

REPOSITORY = defs.get_repository_def()
RATES = dataset("raw/exchange_rates")


class Record:
    """A warehouse of which only the record of loads is asked."""

    def __init__(self) -> None:
        self.loads = pl.DataFrame(schema=SCHEMA)

    def load_times(self) -> pl.DataFrame:
        return self.loads


@pytest.fixture
def lake() -> Iterator[Lake]:
    """A lake without a day, in an environment that owes every day of the settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAYMENTS_ENVIRONMENT", "production")
        yield Lake(MemoryStorage())


def tick(lake: Lake, cursor: str | None) -> dg.SensorResult:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            repository_def=REPOSITORY,
            resources={"lake": lake, "warehouse": Record()},
        )
        result = freshness(context)
    assert isinstance(result, dg.SensorResult)
    return result


def now_of(lake: Lake) -> list[Freshness]:
    with dg.DagsterInstance.ephemeral() as instance:
        return freshness_now(REPOSITORY, instance, lake, Record(), datetime.now(UTC))  # type: ignore[arg-type]


def evaluations(result: dg.SensorResult) -> list[dg.AssetCheckEvaluation]:
    return [event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation)]


@pytest.mark.row("X4", "C5")
def test_the_sensor_fails_what_was_never_built_and_starts_no_run(lake: Lake) -> None:
    """A platform that was installed and never delivered is red, without a single event of its own."""
    cursor, seen = None, set[str]()
    for _ in range(-(-len(WATCHED) // EVENTS_AT_ONCE)):
        result = tick(lake, cursor)
        cursor = result.cursor
        assert not result.run_requests
        assert {it.passed for it in evaluations(result)} == {False}
        seen |= {it.asset_key.to_user_string() for it in evaluations(result)}
    assert seen == {it.name for it in WATCHED}
    assert evaluations(tick(lake, cursor)) == []


@pytest.mark.row("X4")
def test_a_dataset_that_is_healed_is_said_once(lake: Lake) -> None:
    cursor = None
    for _ in range(-(-len(WATCHED) // EVENTS_AT_ONCE)):
        cursor = tick(lake, cursor).cursor
    today = datetime.now(UTC).date()
    for day in days_between(today - timedelta(days=40), today):
        lake.write(day, {RATES: sample(RATES, 1)}, code_version="test", now=datetime.now(UTC))
        lake.set_verdict(RATES, day, "passed")
    result = tick(lake, cursor)
    said = [(it.asset_key.to_user_string(), it.passed) for it in evaluations(result)]
    assert (RATES.name, True) in said
    # What waited for it names another cause now; nothing else became well.
    assert [name for name, passed in said if passed] == [RATES.name]
    assert RATES.name not in {it.asset_key.to_user_string() for it in evaluations(tick(lake, result.cursor))}


@pytest.mark.row("C5")
def test_a_late_table_is_an_error_and_one_that_is_bound_to_be_late_a_warning(lake: Lake) -> None:
    (late, *_) = now_of(lake)
    shown = evaluation(late)
    assert (late.state, shown.passed, shown.severity) == ("FAIL", False, dg.AssetCheckSeverity.ERROR)
    assert shown.check_name == "on_time"
    assert {"since", "due_at", "missing", "missing_count", "owner", "causes"} <= set(shown.metadata)


@pytest.mark.row("X4")
def test_the_cause_is_found_along_the_asset_graph(lake: Lake) -> None:
    """Seventy late tables and nothing built: the causes are what is extracted, and nothing between."""
    found = {it.dataset: it for it in now_of(lake)}
    causes = set(found["aggregates/merchant_daily"].causes)
    assert "raw/transactions" in causes
    assert {name.split("/")[0] for name in causes} == {"raw"}
    assert found["raw/transactions"].causes == ()


@pytest.mark.row("X4")
def test_a_stream_that_nobody_started_is_late_where_automation_runs_alone(lake: Lake) -> None:
    """A laptop without the stream owes none, nor what is made from it; in production silence is the fault."""
    owed = {it.dataset: it.state for it in now_of(lake)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAYMENTS_ENVIRONMENT", "local")
        tried = {it.dataset for it in now_of(lake)}
    assert owed["search/transactions"] == "FAIL"
    streams = {it.name for it in WATCHED if isinstance(it.deadline, MaxAge)}
    assert set(owed) - tried == streams | {"operations/stream_reconciliation"}


@pytest.mark.row("X4")
def test_the_reconciliation_is_owed_from_the_first_day_of_the_stream_on(lake: Lake) -> None:
    """A platform that ran for a month before its first stream has no day of that month to compare."""
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    segment(lake.storage, 0, 0, 5, at=noon - timedelta(days=2))
    segment(lake.storage, 1, 0, 5, at=noon - timedelta(days=1))
    with dg.DagsterInstance.ephemeral() as instance:
        states = freshness_now(REPOSITORY, instance, lake, Record(), noon)  # type: ignore[arg-type]
    (found,) = [it for it in states if it.dataset == "operations/stream_reconciliation"]
    assert (found.missing, found.missing_count) == (f"{noon - timedelta(days=2):%Y-%m-%d}", 2)


@pytest.mark.row("X4")
def test_the_reconciliation_is_owed_only_where_its_schedule_runs(lake: Lake) -> None:
    """On a laptop nobody starts it: it would be late from the first demo on, for ever."""
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAYMENTS_ENVIRONMENT", "local")
        for it in WATCHED:
            if isinstance(it.deadline, MaxAge):
                instance.report_runless_asset_event(dg.AssetObservation(dg.AssetKey(list(it.key))))
        found = freshness_now(REPOSITORY, instance, lake, Record(), datetime.now(UTC))  # type: ignore[arg-type]
    assert {it.name for it in WATCHED} - {it.dataset for it in found} == {"operations/stream_reconciliation"}


def asked(lake: Lake) -> tuple[int, int]:
    """How many datasets are late or bound to be, and how many of them the alerts hear of."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, repository_def=REPOSITORY)
        warehouse, now = Record(), datetime.now(UTC).replace(hour=12)
        sources = sources_of(context, load_settings(), lake, warehouse)  # type: ignore[arg-type]
        late = freshness_now(REPOSITORY, instance, lake, warehouse, now)  # type: ignore[arg-type]
        return sum(it.state != "PASS" for it in late), len(sources["freshness"](now))


@pytest.mark.row("X4", "A3")
@pytest.mark.parametrize("environment", ["local", "test", "staging", "production"])
@pytest.mark.parametrize("switch", ["", "true", "false"])
def test_alerts_hear_of_late_data_where_jobs_start_by_themselves_or_a_person_asks(
    lake: Lake, environment: str, switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first demo builds its days one after the other: each that has to wait would page somebody for nothing.

    The source stays and names nothing, so that what was open closes.
    """
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", environment)
    if switch:
        monkeypatch.setenv("PAYMENTS_ALERT_ON_FRESHNESS", switch)
    lake.write(
        datetime.now(UTC).date() - timedelta(days=9),
        {RATES: sample(RATES, 1)},
        code_version="test",
        now=datetime.now(UTC),
    )
    late, heard = asked(lake)
    is_on = switch == "true" or (not switch and environment in {"staging", "production"})
    assert late > len(WATCHED) // 2
    assert heard == (late if is_on else 0)


@pytest.mark.row("X4")
def test_a_laptop_on_which_nothing_was_built_owes_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_ENVIRONMENT", "local")
    for hour in (5, 12):
        with dg.DagsterInstance.ephemeral() as instance:
            now = datetime.now(UTC).replace(hour=hour)
            found = freshness_now(REPOSITORY, instance, lake, Record(), now)  # type: ignore[arg-type]
        assert {it.state for it in found} == {"PASS"}


@pytest.mark.row("X4")
def test_a_stream_is_as_old_as_it_was_last_seen_to_move(lake: Lake) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetObservation(dg.AssetKey(["search", "transactions"])))
        now = datetime.now(UTC)
        newest = newest_of(instance)
        (found,) = [
            it
            for it in freshness_now(REPOSITORY, instance, lake, Record(), now)  # type: ignore[arg-type]
            if it.dataset == "search/transactions"
        ]
    seen = newest["search/transactions"]
    assert seen is not None
    assert abs(seen - now) < timedelta(seconds=10)
    assert found.state == "PASS"
