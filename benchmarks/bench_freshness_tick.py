"""One tick of the freshness sensor and one of the alerts' over 200 assets with 400 partitions each, on PostgreSQL.

Run: make bench-freshness. Starts the instance's server in a temporary home and stops it. Half the assets are lake
datasets with a manifest a day, half are tables of the warehouse with landing times. Timed is what the sensors and the
daemon do. Freshness: look, judge, choose, store the events; when nothing changed, and when everything did. Alerts: ask
freshness, the week's runs, schedules and sensors, take the step, keep state and messages in PostgreSQL, deliver; when
all is well, when everything becomes late at once, and while it stays so.
"""

import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import polars as pl
from rich.console import Console

from payments_platform.build import build
from payments_platform.clients.dagster import instance_of
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.instance_facts import automation_facts, run_facts
from payments_platform.defs.operations.on_time import evaluation, newest_of
from payments_platform.lake.manifest import DataFile, Manifest, Output
from payments_platform.lake.partitions import Lake
from payments_platform.lake.paths import manifest_path
from payments_platform.lake.storage import LocalStorage
from payments_platform.local import stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.operations.alerts import evaluation as alerts
from payments_platform.operations.alerts.access import opened
from payments_platform.operations.alerts.run_sources import of_automation, of_runs
from payments_platform.operations.alerts.sources import of_freshness
from payments_platform.operations.evidence import days_looked_at, facts
from payments_platform.operations.freshness import Freshness, evaluate
from payments_platform.operations.on_time import Said, to_say
from payments_platform.settings import Settings
from payments_platform.vocabulary import days_between
from payments_platform.warehouse.load_times import SCHEMA

PROJECT: Final = Path(__file__).resolve().parents[1]
LIMIT_SECONDS: Final = 2.0
ASSETS, PARTITIONS, ROUNDS, RUNS = 200, 400, 10, 50
NOW: Final = datetime.now(UTC)
TODAY: Final = NOW.date()
DAYS: Final = days_between(TODAY - timedelta(days=PARTITIONS), TODAY)


def _named(like: str, count: int) -> list[Dataset]:
    """Datasets that differ by their name alone."""
    model = dataset(like)
    return [replace(model, key=(model.key[0], f"bench_{number}")) for number in range(count)]


def _fill(lake: Lake, datasets: list[Dataset]) -> None:
    """A passed manifest for each day, as large as a real one."""
    profile = {f"column_{n}": {f"value_{v}": v for v in range(10)} for n in range(8)}
    for it in datasets:
        for day in DAYS:
            output = Output((DataFile("path.parquet", 10_000, 1_000_000),), 10_000, {"EUR": 1}, "digest", "algorithm")
            counts = {f"rule:R-{n}": n for n in range(12)}
            written = datetime(day.year, day.month, day.day, 3, tzinfo=UTC) + timedelta(days=1)
            manifest = Manifest(
                it.name, day, "passed", "bench", {it.name: output}, written, {}, counts, {}, (), profile
            )
            target = Path(lake.storage.location(manifest_path(it, day)))
            target.parent.mkdir(parents=True)
            target.write_bytes(manifest.to_json())


def _loads(datasets: list[Dataset], path: Path) -> None:
    rows = []
    for it in datasets:
        for day in DAYS:
            at = datetime(day.year, day.month, day.day, 4, tzinfo=UTC) + timedelta(days=1)
            rows.append((it.name, day, 1, 10_000, at, at, at, True))
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(path)


def _states(instance: dg.DagsterInstance, watched: list[Dataset], home: Path, now: datetime) -> list[Freshness]:
    """What both sensors ask."""
    newest_of(instance)
    lake, loads = Lake(LocalStorage(home / "lake")), pl.read_parquet(home / "loads.parquet")
    reads = {it.name: [watched[0].name] for it in watched[1:]}
    return evaluate(facts(watched, reads, lake, loads, days_looked_at(now)), now, first=DAYS[0])


@dg.op
def fails() -> None:
    """What a run of the benchmark does."""
    raise dg.Failure("as it should", allow_retries=False)


@dg.job(name="benchmark")
def failing() -> None:
    """A run that the alerts look at."""
    fails()


def _fail_some_runs(instance: dg.DagsterInstance) -> None:
    """A week with as many failed runs as a bad one has; each is asked for its steps and checks."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    for _ in range(RUNS):
        failing.execute_in_process(instance=instance, raise_on_error=False, run_config=quiet)


def _alert_tick(
    instance: dg.DagsterInstance, watched: list[Dataset], settings: Settings, repository: dg.RepositoryDefinition,
    now: datetime,
) -> float:  # fmt: skip
    """Seconds of one evaluation, its connection included."""
    began = time.perf_counter()
    sources = {
        "freshness": lambda at: of_freshness(_states(instance, watched, settings.home, at), at),
        "runs": lambda at: of_runs(run_facts(instance, at)),
        "automation": lambda at: of_automation(automation_facts(instance, repository, besides=""), at),
    }
    with opened(settings, sources, lambda _: None) as alerting:  # type: ignore[arg-type]  # names of the closed list
        done = alerts.evaluate(alerting, now)
    if done is None or done.problems:
        raise RuntimeError(f"the evaluation is not whole: {done and done.problems}")
    return time.perf_counter() - began


def _alert_ticks(instance: dg.DagsterInstance, watched: list[Dataset], settings: Settings) -> dict[str, list[float]]:
    """All well, then two days later with nothing landed since, then as long as it stays so."""
    repository = build().get_repository_def()
    late = NOW + timedelta(days=2)
    _fail_some_runs(instance)
    return {
        "alerts, all in time": [
            _alert_tick(instance, watched, settings, repository, NOW + timedelta(seconds=n)) for n in range(ROUNDS)
        ],
        "alerts, all late at once": [_alert_tick(instance, watched, settings, repository, late)],
        "alerts, all still late": [
            _alert_tick(instance, watched, settings, repository, late + timedelta(seconds=15 * n))
            for n in range(1, ROUNDS + 1)
        ],
    }


def _tick(instance: dg.DagsterInstance, watched: list[Dataset], home: Path, said: Said) -> tuple[float, int, Said]:
    """What a tick does, the storing of its events included; seconds, events, and what was said then."""
    began = time.perf_counter()
    found = _states(instance, watched, home, NOW)
    chosen = to_say(found, Said.from_json(said.to_json()), NOW)
    for it in chosen:
        # The events are those of a known dataset: the graph of this process has no other.
        instance.report_runless_asset_event(evaluation(replace(it, dataset="marts/fact_transaction")))
    return time.perf_counter() - began, len(chosen), said.after(chosen, found, NOW)


def main() -> None:
    """Measure, print, and end with 1 when the limit is missed."""
    home = Home(Path(tempfile.mkdtemp(prefix="payments-bench-freshness-")))
    settings, console = Settings(home=home.root), Console(highlight=False)
    watched = [*_named("raw/exchange_rates", ASSETS // 2), *_named("marts/fact_transaction", ASSETS // 2)]
    try:
        stack.up(Request(home, PROJECT, ui=False, only=("platform",), any_ports=True))
        _fill(Lake(LocalStorage(home.root / "lake")), watched[: ASSETS // 2])
        _loads(watched[ASSETS // 2 :], home.root / "loads.parquet")

        with instance_of(settings) as instance:
            said, changed, quiet = Said(), list[float](), list[float]()
            while len(quiet) < ROUNDS:
                seconds, events, said = _tick(instance, watched, home.root, said)
                (changed if events else quiet).append(seconds)
            times = {"freshness, everything changed": changed, "freshness, nothing changed": quiet}
            times |= _alert_ticks(instance, watched, settings)
        for name, taken in times.items():
            shown = f"median {statistics.median(taken):.2f} s, longest {max(taken):.2f} s, {len(taken)} ticks"
            console.print(f"{ASSETS} assets x {PARTITIONS} partitions, {name}: {shown}", soft_wrap=True)
    finally:
        stack.down(home, lambda _: None)
        shutil.rmtree(home.root, ignore_errors=True)
    if max(max(taken) for taken in times.values()) > LIMIT_SECONDS:
        sys.exit(1)


if __name__ == "__main__":
    main()
