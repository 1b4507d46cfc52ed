"""How long a person waits for the alert: from the moment of lateness to the message, with Dagster's own daemon.

Belongs here: the one run in which nothing is simulated but the receiving end of Slack and PagerDuty. Does not: which
states alert (unit/test_freshness), which rules speak when (unit/test_alert_fidelity). `make test-alert-delay` prints
what it measures.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
import polars as pl
import pytest

from assets_tests.conftest import PROJECT, Stack
from assets_tests.fakes.alert_servers import Service, pagerduty_server, slack_server
from assets_tests.fakes.alerting import ROUTING_KEY
from assets_tests.integration.pipeline import OfTheStack, environment
from payments_platform.clients.dagster import records_of
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.due import MaxAge
from payments_platform.local import stack as local_stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.settings import load_settings

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    # dagster-dbt asks its context for the op in the old way. Exit: dagster-dbt 0.30.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated:DeprecationWarning"),
]
PROMISED: Final = 60.0
# Long enough for the pages and the daemon to start on a busy machine.
AHEAD: Final = timedelta(minutes=3)
STREAM: Final = "streams/changes"
# The platform as it is, but for the hour at which a day is due: nobody waits for six in the morning. Every Python of
# the stack imports it at its start; it does nothing until the seconds are said in a file beside it.
DUE_SOON: Final = """
from datetime import timedelta
from pathlib import Path

said = Path(__file__).with_name("due_seconds")
if said.exists():
    from payments_platform.contracts.due import DEADLINE_OF_ZONE, START_OF_DAILY_JOB, Due

    soon = Due("day", timedelta(seconds=int(said.read_text())), START_OF_DAILY_JOB)
    for zone, deadline in DEADLINE_OF_ZONE.items():
        if isinstance(deadline, Due) and deadline.period == "day":
            DEADLINE_OF_ZONE[zone] = soon
"""


@dataclass(frozen=True)
class Late:
    """The platform with one day built and the next one due at ``due_at``, and the two ends where messages arrive."""

    platform: OfTheStack
    day: date
    due_at: datetime
    slack: Service
    pagerduty: Service


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    """Start everything but the streams' servers; yesterday is in the source and not built."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, project)
    (project / "sitecustomize.py").write_text(DUE_SOON)
    monkeypatch.setenv("PYTHONPATH", str(project))
    home = Home(project / ".local")
    day = datetime.now(UTC).date() - timedelta(days=1)
    with slack_server() as slack, pagerduty_server() as pagerduty:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{slack.url}services/T0/B0/x")
        monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", ROUTING_KEY)
        monkeypatch.setenv("PAGERDUTY_EVENTS_URL", pagerduty.url)
        # In a test nothing starts by itself, so nobody is told of late data unless it is asked for.
        monkeypatch.setenv("PAYMENTS_ALERT_ON_FRESHNESS", "true")
        try:
            platform = _with_one_day(home, project, day)
            due_at = datetime.now(UTC).replace(microsecond=0) + AHEAD
            _due_at(project, day, due_at)
            _up(home, project, ui=True)
            yield Late(platform, day, due_at, slack, pagerduty)
        finally:
            local_stack.down(home, lambda _: None)


def _with_one_day(home: Home, project: Path, day: date) -> OfTheStack:
    _up(home, project, ui=False)
    with environment({"PAYMENTS_HOME": str(home.root), "PAYMENTS_ENVIRONMENT": "test"}):
        made = OfTheStack(Stack(home.root, load_settings()), home.root)
    result = made.command("simulate", "--days", "2", "--per-day", "200", "--until", str(day), "--seed", "8")
    assert result.exit_code == 0, result.output
    before = day - timedelta(days=1)
    made.built(before, before)
    return made


def _due_at(project: Path, day: date, due_at: datetime) -> None:
    """Let the code server load definitions in which the day is due then."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    (project / "due_seconds").write_text(str(int((due_at - midnight).total_seconds())))


def _up(home: Home, project: Path, *, ui: bool) -> None:
    request = Request(
        home, project, ui=ui, environment="test", any_ports=True, stop_with=os.getpid(), say=lambda _: None
    )
    local_stack.up(request)


def arrival(service: Service, is_it: Callable[[dict[str, Any]], bool], seconds: float = 300) -> datetime:
    """When the first such message came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for came, told in zip(service.came, service.taken, strict=False):
            if is_it(told):
                return came
        time.sleep(0.2)
    raise AssertionError(f"no such message in {seconds:.0f} s: {service.taken}")


def headed(*parts: str) -> Callable[[dict[str, Any]], bool]:
    """A message of Slack whose header has all of these."""
    return lambda told: all(part in told["blocks"][0]["text"]["text"] for part in parts)


def event(action: str) -> Callable[[dict[str, Any]], bool]:
    """An event of PagerDuty."""
    return lambda told: bool(told["event_action"] == action)


def moved(platform: OfTheStack) -> datetime:
    """Say that a stream moved, as the sensor of its position does; return when."""
    with environment(platform.variables()), records_of(platform.stack.settings) as instance:
        key = dg.AssetKey(STREAM.split("/"))
        instance.report_runless_asset_event(dg.AssetObservation(key))
        (seen,) = instance.fetch_observations(key, limit=1).records
    return datetime.fromtimestamp(seen.timestamp, UTC)


def there_since(platform: OfTheStack, day: date) -> datetime:
    """When the last of a day's tables had landed and passed."""
    landed = platform.warehouse.load_times().filter(pl.col("partition_date") == day, pl.col("is_passed"))
    found: list[datetime] = landed["first_landed_at"].to_list()
    return max(found)


@pytest.mark.row("X4", "C7", "A3")
def test_a_person_hears_of_a_late_day_and_of_a_late_stream_within_a_minute(
    late: Late, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the simulated month cannot show: the daemon's loop, the start of a tick, the answers of the stores."""
    stream, slack, pagerduty = dataset(STREAM).deadline, late.slack, late.pagerduty
    assert isinstance(stream, MaxAge)
    stream_late_at = moved(late.platform) + stream.age
    assert datetime.now(UTC) < late.due_at, "the stack took too long to start"
    time.sleep((late.due_at - datetime.now(UTC)).total_seconds())
    assert (slack.taken, pagerduty.taken) == ([], [])
    delays = {
        "a day is late, PagerDuty": arrival(pagerduty, event("trigger")) - late.due_at,
        "a day is late, Slack": arrival(slack, headed("red_circle")) - late.due_at,
    }
    assert late.platform.command("run-day", str(late.day)).exit_code == 0
    there = there_since(late.platform, late.day)
    delays |= {
        "a day is there, PagerDuty": arrival(pagerduty, event("resolve")) - there,
        "a day is there, Slack": arrival(slack, headed("check_mark", "not in the warehouse")) - there,
        "a stream is late, Slack": arrival(slack, headed("orange_circle", STREAM)) - stream_late_at,
    }
    with capsys.disabled():
        print(*(f"\n{name}: {delay.total_seconds():.1f} s" for name, delay in delays.items()))  # noqa: T201 - the figure
    assert {name: delay for name, delay in delays.items() if not 0 <= delay.total_seconds() <= PROMISED} == {}
    # The day was one message and one incident, whatever else was late because of it.
    assert [it["event_action"] for it in pagerduty.taken] == ["trigger", "resolve"]
