"""What Prometheus is told: every listed metric and no other, and never an old figure for a new one.

Belongs here: samples from values, and what a scrape shows while sources fail or hang. Does not: HTTP, real sources
(integration/test_metrics).
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from assets_tests.fakes.platform_weeks import at, phases, run, runs, ticks
from payments_platform.contracts.due import Due, MaxAge
from payments_platform.documentation.metrics_page import metrics_page
from payments_platform.operations.alerts.engine import step
from payments_platform.operations.alerts.rules import RULES
from payments_platform.operations.alerts.state import Memory, Observation
from payments_platform.operations.figures.periods import month_of, week_of
from payments_platform.operations.figures.register import MonthFacts, service_levels
from payments_platform.operations.figures.weekly import weekly_figures
from payments_platform.operations.freshness import Freshness, Watched, evaluate
from payments_platform.operations.metrics.exporter import Exporter
from payments_platform.operations.metrics.families import BY_NAME, EVERY, METRIC_SOURCES, METRICS, MetricSource
from payments_platform.operations.metrics.samples import (
    Sample,
    of_alerts,
    of_daemons,
    of_freshness,
    of_month,
    of_watch,
    of_week,
)

NOW = datetime(2028, 3, 1, 8, tzinfo=UTC)
MONTH = month_of(NOW.date())


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def exporter(
    read: Callable[[MetricSource, datetime], Sequence[Sample]], clock: Clock | None = None
) -> tuple[Exporter, list[str]]:
    said: list[str] = []
    return Exporter(read, clock or Clock(), said.append), said


def scraped(found: Exporter) -> dict[str, float]:
    """What Prometheus reads, by the text of the series."""
    registry = CollectorRegistry()
    registry.register(found)
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def everything() -> dict[MetricSource, list[Sample]]:
    """One sample at least of each metric."""
    week = week_of(NOW.date())
    days = week.days
    rows = [run(f"{n}", at(days[0], n / 2), lag=2.0) for n in range(6)]
    tick = ticks([(days[0], "alerts", "sensor", 9, 0, 9, 1.0, 2.0)])
    phase = phases([("r", "extract", 5.0, at(days[0], 3))])
    figures = weekly_figures(runs(rows), tick, phase, week, NOW)
    register = service_levels(MonthFacts(runs(rows), [], {NOW.date(): 1}, NOW), MONTH, NOW)
    memory = Memory(evaluated_at=NOW)
    return {
        "figures": [*of_week(figures), *of_month(register)],
        "freshness": list(of_freshness(late(), NOW)),
        "alerts": list(of_alerts(memory, [])),
        "watch": list(of_watch(memory)),
        "daemons": list(of_daemons({"SENSOR": NOW.timestamp()})),
    }


def late() -> list[Freshness]:
    """The leap day is missing since six o'clock of the first of March; a stream never brought anything."""
    mart = Watched("marts/fact_transaction", "analytics", Due("day", timedelta(hours=6)))
    stream = Watched("search/transactions", "data-platform", MaxAge(timedelta(minutes=5)))
    return evaluate([mart, stream], NOW, first=NOW.date() - timedelta(days=1))


@pytest.mark.row("A1", "R6")
def test_every_sample_is_of_a_listed_metric_with_its_labels() -> None:
    """A sample that the list lacks is on no page, and one with other labels breaks the whole scrape."""
    given = everything()
    for source, samples in given.items():
        assert samples
        for sample in samples:
            metric = BY_NAME[sample.metric]
            assert (metric.source, len(metric.labels)) == (source, len(sample.labels))
    listed = {metric.name for metric in METRICS if metric.source}
    # No task ran often enough to have a usual time.
    rare = {"payments_task_duration_ratio", "payments_task_retry_ratio"}
    assert listed - {sample.metric for samples in given.values() for sample in samples} == rare


@pytest.mark.row("A1")
def test_a_scrape_shows_every_source() -> None:
    given = everything()
    found, _ = exporter(lambda source, _: given[source])
    for source in METRIC_SOURCES:
        found.read_once(source)
    shown = scraped(found)
    assert all(shown[f'payments_metrics_source_up{{source="{source}"}}'] == 1 for source in METRIC_SOURCES)
    assert shown['payments_job_success_ratio{job="daily_oltp_to_dwh"}'] == 1.0
    assert shown['payments_service_level_breached{service_level="lost_rows"}'] == 1.0
    assert shown['payments_tick_lag_seconds{automation="alerts"}'] == 1.0


@pytest.mark.row("A1", "O12")
def test_what_is_not_measured_has_no_value_and_is_not_called_kept() -> None:
    """A gauge of 1 for what nobody measures is a promise kept on paper."""
    register = service_levels(MonthFacts(runs([]), [], {}, None), MONTH, NOW)
    samples = list(of_month(register))
    assert {it.metric for it in samples} == {"payments_service_level_measured", "payments_service_level_promised"}
    assert {it.value for it in samples if it.metric == "payments_service_level_measured"} == {0.0}


@pytest.mark.row("A1", "X4", "O8")
def test_freshness_says_which_partition_is_missing_and_since_when() -> None:
    samples = {(it.metric, *it.labels): it.value for it in of_freshness(late(), NOW)}
    mart, stream = "marts/fact_transaction", "search/transactions"
    assert samples["payments_dataset_late_seconds", mart] == 2 * 3600
    assert samples["payments_dataset_missing_partitions", mart] == 1
    leap_day = datetime(2028, 2, 29, tzinfo=UTC).timestamp()
    assert samples["payments_dataset_oldest_missing_timestamp_seconds", mart] == leap_day
    assert samples["payments_dataset_late_seconds", stream] == inf
    assert ("payments_dataset_oldest_missing_timestamp_seconds", stream) not in samples


@pytest.mark.row("A1", "A3")
def test_every_rule_has_a_series_and_an_open_alert_counts_there() -> None:
    memory, _ = step(Memory(), [Observation("run_failed", "daily", 1.0)], ["runs"], NOW)
    opened = {it.labels: it.value for it in of_alerts(memory, []) if it.metric == "payments_alerts_open"}
    assert set(opened) == {(rule.name, level.severity) for rule in RULES for level in rule.levels}
    assert {labels for labels, value in opened.items() if value} == {("run_failed", "warning")}


@pytest.mark.row("A1")
def test_a_source_that_is_away_takes_its_metrics_along_and_nothing_else() -> None:
    """The last figure of a database that died hours ago would be read as today's."""
    given, broken = everything(), set[MetricSource]()

    def read(source: MetricSource, now: datetime) -> Sequence[Sample]:
        del now
        if source in broken:
            raise ConnectionError("the database is away")
        return given[source]

    found, said = exporter(read)
    for source in METRIC_SOURCES:
        found.read_once(source)
    broken.add("alerts")
    for _ in range(3):
        found.read_once("alerts")
    shown = scraped(found)
    assert shown['payments_metrics_source_up{source="alerts"}'] == 0
    assert not [name for name in shown if name.startswith("payments_alerts_open")]
    assert shown['payments_metrics_source_up{source="figures"}'] == 1
    assert said == ["alerts cannot be read: ConnectionError: the database is away"]
    broken.clear()
    found.read_once("alerts")
    assert scraped(found)['payments_metrics_source_up{source="alerts"}'] == 1


@pytest.mark.row("A1")
@pytest.mark.parametrize("source", METRIC_SOURCES)
def test_a_source_that_hangs_is_away_after_three_turns(source: MetricSource) -> None:
    clock = Clock()
    given = everything()
    found, _ = exporter(lambda it, _: given[it], clock)
    found.read_once(source)
    name = f'payments_metrics_source_up{{source="{source}"}}'
    clock.now += 3 * EVERY[source]
    assert scraped(found)[name] == 1
    clock.now += timedelta(seconds=1)
    assert scraped(found)[name] == 0


@pytest.mark.row("A1")
def test_a_scrape_before_anything_was_read_says_that_nothing_was() -> None:
    found, _ = exporter(lambda *_: [])
    shown = scraped(found)
    assert shown == {f'payments_metrics_source_up{{source="{source}"}}': 0.0 for source in METRIC_SOURCES}


def test_one_source_that_hangs_holds_up_no_other_and_no_scrape() -> None:
    hangs, read, stop = threading.Event(), threading.Semaphore(0), threading.Event()

    def reader(source: MetricSource, now: datetime) -> Sequence[Sample]:
        del now
        if source == "freshness":
            hangs.wait(30)
        read.release()
        return []

    found, _ = exporter(reader)
    found.start(stop)
    for _ in range(len(METRIC_SOURCES) - 1):
        assert read.acquire(timeout=10)
    stop.set()
    shown = scraped(found)
    hangs.set()
    assert shown['payments_metrics_source_up{source="freshness"}'] == 0


@pytest.mark.row("A1", "D2")
def test_the_page_names_every_metric_with_unit_and_meaning_and_no_other() -> None:
    """A metric that no page explains is guessed at, at night."""
    page = metrics_page()
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert {metric.name for metric in METRICS} <= named
    assert {name.removeprefix("payments_").split("_")[0] for name in named - {metric.name for metric in METRICS}} == {
        "capture", "stream",
    }  # fmt: skip
    assert all(metric.unit and metric.says.endswith(".") for metric in METRICS)
    docs = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page.strip() in docs
