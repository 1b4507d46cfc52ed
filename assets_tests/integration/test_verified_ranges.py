"""PostgreSQL in ranges, as `payments verify` walks it: every payment in one of them, none larger than said."""

import threading
from datetime import UTC, datetime

import polars as pl
import pytest

from assets_tests.conftest import Stack
from payments_platform.clients.postgres import connect, connect_arrow
from payments_platform.oltp.traffic.drive import Traffic, drive
from payments_platform.streaming import owed
from payments_platform.streaming.owed import Postgres

pytestmark = pytest.mark.integration
LARGEST = 7


def drive_for_a_second(stack: Stack, seed: int) -> None:
    app, loader = stack.settings.postgres("primary", "app"), stack.settings.postgres("primary", "loader")
    traffic = Traffic(app, loader, stack.settings.token_key(), seed=seed, tps=40, sessions=3)
    drive(traffic, 1.0, threading.Event(), lambda _: None)


@pytest.mark.row("X2")
def test_ranges_hold_every_payment_once_and_what_changed_since_with_its_whole_past(
    empty_source: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range that grows with the source once ran a store out of memory, also when few payments had changed."""
    monkeypatch.setattr(owed, "_PAYMENTS_AT_ONCE", LARGEST)
    drive_for_a_second(empty_source, 3)
    since = datetime.now(UTC)
    drive_for_a_second(empty_source, 4)
    with connect(empty_source.settings.postgres("primary", "extract"), name="tests") as session:
        known = session.execute("SELECT transaction_id, version, updated_at FROM oltp.transactions_history").fetchall()
    history = pl.DataFrame(known, ["transaction_id", "version", "updated_at"], orient="row")
    changed = history.filter(pl.col("updated_at") >= since)["transaction_id"].unique()
    assert 0 < len(changed) < history["transaction_id"].n_unique()
    with connect_arrow(empty_source.settings.postgres("primary", "extract"), name="tests") as connection:
        for asked, expected in ((None, history), (since, history.filter(pl.col("transaction_id").is_in(changed)))):
            postgres = Postgres(connection, 0, asked)
            found = [postgres.versions(span).select("transaction_id", "version") for span in postgres.spans()]
            assert len(found) > 1
            assert all(frame["transaction_id"].n_unique() <= LARGEST for frame in found)
            rows = pl.concat(found).sort("transaction_id", "version")
            assert rows.rows() == sorted(expected.select("transaction_id", "version").rows())
