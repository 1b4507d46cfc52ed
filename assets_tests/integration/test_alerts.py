"""Alerting on the real platform database: the sensor's evaluation, and the commands that read it.

Belongs here: what only the real parts show. Does not: the rules (unit/test_alert_rules).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets_tests.conftest import Stack
from assets_tests.fakes.alert_servers import pagerduty_server, slack_server
from assets_tests.fakes.alerting import ROUTING_KEY
from payments_platform.cli import app
from payments_platform.clients.postgres import connect
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.sample import sample
from payments_platform.definitions import defs
from payments_platform.defs.operations.alerts import alerts
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.warehouse.duckdb import DuckDBWarehouse

pytestmark = pytest.mark.integration


@pytest.fixture
def empty_alerts(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    for name in ("SLACK_WEBHOOK_URL", "SLACK_BOT_TOKEN", "PAGERDUTY_ROUTING_KEY", "SMTP_URL", "ALERTS_HEARTBEAT_URL"):
        monkeypatch.delenv(name, raising=False)
    address = stack.settings.postgres("platform", "dagster")
    with connect(address, autocommit=True, name="tests") as connection:
        connection.execute("DROP SCHEMA IF EXISTS alerts CASCADE")
        yield stack
        connection.execute("DROP SCHEMA IF EXISTS alerts CASCADE")


@dg.op
def breaks() -> None:
    """Fail at once."""
    raise dg.Failure("the disk is full", allow_retries=False)


@dg.job(name="daily_upkeep")
def breaking() -> None:
    """A run that ends badly."""
    breaks()


def evaluated(instance: dg.DagsterInstance, folder: Path) -> str:
    """One evaluation over a lake and a warehouse of the test's own."""
    places = {"lake": Lake(LocalStorage(folder / "lake")), "warehouse": DuckDBWarehouse(folder / "warehouse.duckdb")}
    context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def(), resources=places)
    skipped = alerts(context)
    assert isinstance(skipped, dg.SkipReason)
    assert "cannot be asked" not in str(skipped.skip_message)
    return str(skipped.skip_message)


@pytest.mark.row("A3", "C7", "X4")
def test_a_platform_that_builds_nothing_is_one_message_and_a_run_that_failed_another(
    empty_alerts: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every dataset is late for one cause, that nothing was built for weeks: eighty messages would hide the run's."""
    now, rates = datetime.now(UTC), dataset("raw/exchange_rates")
    begun = (now - timedelta(days=40)).date()
    Lake(LocalStorage(tmp_path / "lake")).write(begun, {rates: sample(rates, 1)}, code_version="test", now=now)
    monkeypatch.setenv("PAYMENTS_ALERT_ON_FRESHNESS", "true")
    with slack_server() as slack, dg.instance_for_test() as instance:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{slack.url}services/T0/B0/x")
        evaluated(instance, tmp_path)
        late = [block["text"]["text"] for block in slack.taken[0]["blocks"]]
        assert (len(slack.taken), sum("was due at" in text for text in late)) == (1, 40)
        assert late[-1].startswith("… and ")
        breaking.execute_in_process(instance=instance, raise_on_error=False)
        for _ in range(3):
            evaluated(instance, tmp_path)
    assert len(slack.taken) == 2
    text = slack.taken[1]["blocks"][1]["text"]["text"]
    for part in ("daily_upkeep", "breaks failed", "data-platform", "run_failed.md"):
        assert part in text


@pytest.mark.row("A3")
def test_without_credentials_the_alert_is_kept_and_listed(empty_alerts: Stack, tmp_path: Path) -> None:
    with dg.instance_for_test() as instance:
        breaking.execute_in_process(instance=instance, raise_on_error=False)
        evaluated(instance, tmp_path)
    runner = CliRunner()
    listed, sent = (runner.invoke(app, ["alerts", name, "--format", "json"]) for name in ("list", "messages"))
    assert '"rule": "run_failed"' in listed.stdout
    assert '"outcome": "printed"' in sent.stdout
    assert "run_failed" in runner.invoke(app, ["alerts", "list"]).output
    assert "printed" in runner.invoke(app, ["alerts", "messages"]).output


def test_a_test_message_reaches_the_channels_that_have_credentials(
    empty_alerts: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = CliRunner()
    with slack_server() as slack, pagerduty_server() as pagerduty:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", slack.url)
        monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", ROUTING_KEY)
        monkeypatch.setenv("PAGERDUTY_EVENTS_URL", pagerduty.url)
        assert runner.invoke(app, ["alerts", "test"]).exit_code == 0
        assert (len(slack.taken), [it["event_action"] for it in pagerduty.taken]) == (1, ["trigger", "resolve"])
        slack.moods = ["revoked"]
        refused = runner.invoke(app, ["alerts", "test", "slack"])
    assert refused.exit_code == 1


def test_an_unknown_channel_is_named(empty_alerts: Stack) -> None:
    answer = CliRunner().invoke(app, ["alerts", "test", "telex"])
    assert answer.exit_code == 2
    assert "telex" in answer.output
