"""What live traffic leaves in the source: exactly what it reports, and room for bulk history beside it."""

import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from assets_tests.conftest import Stack
from payments_platform.clients.postgres import connect
from payments_platform.oltp.simulator.run import Target, simulate
from payments_platform.oltp.simulator.world import World
from payments_platform.oltp.traffic.drive import Report, Traffic, drive

pytestmark = pytest.mark.integration
DAY = date(2026, 2, 24)


def driven(stack: Stack, seconds: float | None, stop: threading.Event | None = None, tps: float = 60) -> Report:
    """Drive traffic as the command does, on few sessions."""
    app, loader = stack.settings.postgres("primary", "app"), stack.settings.postgres("primary", "loader")
    traffic = Traffic(app, loader, stack.settings.token_key(), seed=3, tps=tps, sessions=3)
    return drive(traffic, seconds, stop or threading.Event(), lambda _progress: None)


def counts(stack: Stack, query: str) -> dict[str, int]:
    """Name and number of each row of a query."""
    with connect(stack.settings.postgres("primary", "extract"), name="tests") as session:
        return {str(name): int(str(count)) for name, count in session.execute(query.encode()).fetchall()}


@pytest.mark.row("O11")
def test_every_transaction_reported_is_in_the_source_with_its_history(empty_source: Stack) -> None:
    """A benchmark that counts what was never committed proves nothing; two runs of a seed must not meet either."""
    began = datetime.now(UTC)
    reports = [driven(empty_source, 2.0), driven(empty_source, 2.0)]
    kinds = {kind: sum(report.commit.counts.get(kind, 0) for report in reports) for kind in ("payment", "refund")}
    assert sum(report.transactions for report in reports) == 240
    assert all(report.kept_up for report in reports)
    rows = counts(
        empty_source,
        "SELECT 'payment', count(*) FROM oltp.transactions UNION SELECT 'refund', count(*) FROM oltp.refunds",
    )
    assert rows == kinds
    steps = counts(
        empty_source,
        "SELECT coalesce(previous_status, '') || '>' || status, count(*) FROM oltp.transactions_history GROUP BY 1",
    )
    assert steps["succeeded>refunded"] == kinds["refund"] > 0
    assert steps["processing>succeeded"] == sum(report.commit.counts["capture"] for report in reports)
    late = (
        f"SELECT 'early', count(*) FROM oltp.transactions_history WHERE updated_at < '{began}' OR load_id IS NOT NULL"
    )
    assert counts(empty_source, late) == {"early": 0}


def test_bulk_history_is_possible_beside_live_traffic(empty_source: Stack, tmp_path: Path) -> None:
    """A version of the past after one of the present would put the versions of a row out of order."""
    live = driven(empty_source, 1.0)
    address = empty_source.settings.postgres("primary", "loader")
    target = Target(address, empty_source.settings.token_key(), DAY, lambda _done, _total: None, tmp_path)
    bulk = simulate(World(5, 300, 0.0), DAY, target)
    tables = ("transactions", "customers", "merchants")
    disordered = " UNION ALL ".join(
        f"SELECT '{table}', count(*) FROM (SELECT updated_at < lag(updated_at) OVER (PARTITION BY {table[:-1]}_id"
        f" ORDER BY version) AS late FROM oltp.{table}_history) v WHERE late"
        for table in tables
    )
    assert counts(empty_source, disordered) == dict.fromkeys(tables, 0)
    total = counts(empty_source, "SELECT 'all', count(*) FROM oltp.transactions")["all"]
    assert total == bulk.transactions + live.commit.counts["payment"]


def test_a_stopped_run_ends_at_once_and_reports_what_it_did(empty_source: Stack) -> None:
    """Ctrl-C must neither hang nor lose the figures."""
    stop = threading.Event()
    threading.Timer(5.0, stop.set).start()
    began = time.perf_counter()
    report = driven(empty_source, None, stop)
    assert time.perf_counter() - began < 24
    assert (
        counts(empty_source, "SELECT 'all', count(*) FROM oltp.transactions")["all"] == report.commit.counts["payment"]
    )


def test_a_rate_that_cannot_be_held_is_said(empty_source: Stack) -> None:
    """Quietly doing less would be read as doing enough."""
    report = driven(empty_source, 2.0, tps=50_000)
    assert not report.kept_up
    assert report.tps < 50_000
