"""The exporter over the real platform: every source answers, and what is away is shown as away.

Belongs here: what only the real parts show. Does not: single samples (unit/test_exporter).
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assets_tests.conftest import Stack
from payments_platform.clients.postgres import connect
from payments_platform.local.ports import choose
from payments_platform.operations.alerts.state import Memory
from payments_platform.operations.alerts.store import PostgresStore

pytestmark = pytest.mark.integration
_PAYMENTS = Path(sys.executable).parent / "payments"


@contextmanager
def watch(home: Path) -> Iterator[str]:
    """The dead-man's switch with its metrics, as the stack runs it; gives its address."""
    port = choose(0, ())
    environment = os.environ | {"PAYMENTS_HOME": str(home), "PAYMENTS_ENVIRONMENT": "test"}
    command = [str(_PAYMENTS), "alerts", "watch", "--metrics-port", str(port), "--every", "1"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}/metrics"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def scraped(address: str) -> dict[str, float]:
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - a fixed address
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def until(address: str, holds: dict[str, float], seconds: float = 60) -> dict[str, float]:
    """Scrape until these series have these values."""
    shown: dict[str, float] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            shown = scraped(address)
        except OSError:
            shown = {}
        if all(shown.get(name) == value for name, value in holds.items()):
            return shown
        time.sleep(0.5)
    raise AssertionError({name: shown.get(name) for name in holds})


def up(*sources: str, value: float = 1.0) -> dict[str, float]:
    return {f'payments_metrics_source_up{{source="{source}"}}': value for source in sources}


@pytest.mark.row("A1", "R6", "O12")
def test_the_switch_serves_every_source_of_the_platform(stack: Stack) -> None:
    from datetime import UTC, datetime

    with connect(stack.settings.postgres("platform", "dagster"), autocommit=True, name="tests") as connection:
        PostgresStore(connection).keep(Memory(evaluated_at=datetime.now(UTC)), [], datetime.now(UTC))
    with watch(stack.settings.home) as address:
        shown = until(address, up("figures", "freshness", "alerts", "watch", "daemons"))
        began = time.perf_counter()
        scraped(address)
        # Prometheus itself waits for 10.
        assert time.perf_counter() - began < 10
    assert shown['payments_service_level_measured{service_level="fraud_decision"}'] == 0
    assert "payments_alerts_evaluated_timestamp_seconds" in shown
    assert "payments_alerts_watched_timestamp_seconds" in shown
    assert any(name.startswith("payments_dataset_late_seconds") for name in shown)
    assert shown['payments_alerts_open{rule="mart_late",severity="critical"}'] >= 0


@pytest.mark.row("A1")
def test_without_the_platform_s_database_the_switch_still_serves_and_says_what_is_away(tmp_path: Path) -> None:
    """The exporter is asked above all when something is away."""
    with watch(tmp_path) as address:
        shown = until(address, up("watch"))
        time.sleep(1)
        shown = scraped(address)
    assert {name: shown[name] for name in up("figures", "alerts", "daemons")} == up(
        "figures", "alerts", "daemons", value=0
    )
