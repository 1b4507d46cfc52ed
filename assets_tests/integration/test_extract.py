"""Extraction from the real replica: whole days, nothing hidden, nothing half, the same twice."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import randrange
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from assets_tests.conftest import Stack
from payments_platform.batch.cut import DayNotOver, Patience, reachable
from payments_platform.batch.errors import CutTimeout, HiddenRows, SourceChanged, SourceSchemaMismatch
from payments_platform.batch.extract import SourceConnections, extract_days, problem_with
from payments_platform.batch.reconcile import digests_checked_against, unreconciled
from payments_platform.clients.postgres import connect, connect_arrow
from payments_platform.contracts.catalogue import extracted
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.merchants import RAW_MERCHANTS
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.settings import PostgresRole

pytestmark = pytest.mark.integration

NOW = datetime(2025, 3, 3, tzinfo=UTC)
SHORT = Patience(transactions=0.5, replica=30)
PAYMENT = """
    INSERT INTO oltp.transactions (transaction_id, merchant_id, customer_id, customer_token, amount, amount_minor,
           captured_minor, refunded_minor, currency, status, description, metadata, created_at, updated_at)
    SELECT %(prefix)s || n, 'mer_1', 'cus_1', 'tok_1', 12.5, 1250, 0, 0, 'EUR', 'pending', %(text)s, %(json)s::jsonb,
           %(at)s, %(at)s
      FROM generate_series(1, %(rows)s) n
"""


@pytest.fixture
def source(stack: Stack) -> SourceConnections:
    settings = stack.settings
    primary, replica = settings.postgres("primary", "extract"), settings.postgres("replica", "extract")
    connections = SourceConnections(
        primary=partial(connect, primary, autocommit=True),
        replica=partial(connect, replica, autocommit=True),
        replica_arrow=partial(connect_arrow, replica),
    )
    wait_for_replay(connections)
    return connections


def wait_for_replay(source: SourceConnections) -> None:
    """An earlier test may have replaced the whole database, which the replica must have seen to be connected to."""
    with closing(source.primary()) as primary:
        written = primary.execute("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint").fetchone()[0]
        replayed = "SELECT coalesce(min((replay_lsn - '0/0'::pg_lsn)::bigint), 0) FROM pg_stat_replication"
        deadline = time.monotonic() + 60
        while primary.execute(replayed).fetchone()[0] < reachable(written):
            assert time.monotonic() < deadline, "the replica does not catch up"
            time.sleep(0.1)


@pytest.fixture
def day(stack: Stack) -> date:
    """A day of the past on which no test has written: the days around it are free as well."""
    with session(stack, "extract") as connection:
        while True:
            chosen = date(2011, 1, 10) + timedelta(days=10 * randrange(300))
            span = (chosen - timedelta(days=3), chosen + timedelta(days=5))
            query = "SELECT count(*) FROM oltp.transactions_history WHERE updated_at BETWEEN %s AND %s"
            if connection.execute(query, span).fetchone()[0] == 0:
                return chosen


def at(day: date, hour: int = 8) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(LocalStorage(tmp_path))


@contextmanager
def session(stack: Stack, role: PostgresRole) -> Iterator[Any]:
    connection = connect(stack.settings.postgres("primary", role))
    try:
        yield connection
    finally:
        connection.close()


def pay(stack: Stack, prefix: str, *, load: str, at: datetime, rows: int = 5, text: str = "Order", **more: str) -> None:
    """Payments written as a bulk load does, at the time given."""
    with session(stack, "loader") as connection:
        connection.execute("SELECT set_config('payments.event_time', 'row', true)")
        connection.execute("SELECT set_config('payments.load_id', %s, true)", (load,))
        values = {
            "prefix": f"txn_{prefix}_{uuid4().hex}_",
            "at": at,
            "rows": rows,
            "text": text,
            "json": more.get("json", '{"order": "1"}'),
        }
        connection.execute(PAYMENT, values)
        connection.commit()


def write(
    lake: Lake, source: SourceConnections, days: list[date], dataset: Dataset = RAW_TRANSACTIONS
) -> list[Manifest]:
    manifests = []
    for day, extraction in extract_days(source, dataset, days, epoch=1, patience=SHORT):
        before = lake.manifest(dataset, day)
        manifests.append(
            lake.write(
                day,
                {dataset: extraction.frames},
                counts=extraction.counts,
                source_digests=digests_checked_against(before, extraction),
                code_version="1",
                now=NOW,
            )
        )
    return manifests


def frames(source: SourceConnections, day: date) -> pl.DataFrame:
    extracted = extract_days(source, RAW_TRANSACTIONS, [day], epoch=3, patience=SHORT)
    return pl.concat([frame for _, extraction in extracted for frame in extraction.frames])


@pytest.mark.row("B1", "O9", "Y1")
def test_a_day_is_its_history_from_midnight_to_midnight_reconciled_to_the_cent(
    stack: Stack, source: SourceConnections, lake: Lake, day: date
) -> None:
    midnight = at(day, 0)
    last = midnight + timedelta(days=1) - timedelta(microseconds=1)
    for prefix, moment in {"before": midnight - timedelta(microseconds=1), "first": midnight, "last": last}.items():
        pay(stack, prefix, load="load-1", at=moment, rows=2)
    pay(stack, "after", load="load-1", at=last + timedelta(microseconds=1), rows=1)
    days = [day - timedelta(days=1), day, day + timedelta(days=1), day + timedelta(days=2)]
    manifests = write(lake, source, days)
    assert [manifest.rows for manifest in manifests] == [2, 4, 1, 0]
    assert [unreconciled(manifest) for manifest in manifests] == [[], [], [], []]
    assert dict(manifests[1].main.sums) == {"EUR": 4 * 1250}
    assert list(manifests[1].source_digests) == ["load-1"]


@pytest.mark.row("B1")
def test_extracting_again_gives_the_same_and_later_loads_are_added(
    stack: Stack, source: SourceConnections, lake: Lake, day: date
) -> None:
    pay(stack, "a", load="load-1", at=at(day))
    first = write(lake, source, [day])[0]
    again = write(lake, source, [day])[0]
    assert again.digest == first.digest
    pay(stack, "b", load="load-2", at=at(day, 9))
    more = write(lake, source, [day])[0]
    assert more.rows == 10
    assert more.source_digests["load-1"] == first.source_digests["load-1"]


def test_history_that_was_rewritten_stops_the_extraction(
    stack: Stack, source: SourceConnections, lake: Lake, day: date
) -> None:
    pay(stack, "a", load="load-1", at=at(day))
    before = write(lake, source, [day])[0]
    with session(stack, "owner") as owner:
        owner.execute("ALTER TABLE oltp.transactions_history DISABLE TRIGGER USER")
        owner.execute(
            "DELETE FROM oltp.transactions_history WHERE updated_at = %s AND transaction_id LIKE '%%1'", (at(day),)
        )
        owner.execute("ALTER TABLE oltp.transactions_history ENABLE TRIGGER USER")
        owner.commit()
    with pytest.raises(SourceChanged, match="load-1"):
        write(lake, source, [day])
    assert lake.manifest(RAW_TRANSACTIONS, day) == before


@pytest.mark.row("B3", "O6", "G1")
def test_card_numbers_never_reach_the_lake(stack: Stack, source: SourceConnections, day: date) -> None:
    pay(stack, "a", load="l", at=at(day), rows=1, text="card 4111 1111 1111 1111", json='{"c": 5555555555554444}')
    rows = frames(source, day)
    assert rows.schema == RAW_TRANSACTIONS.schema
    assert rows.select("description", "metadata", "epoch").row(0) == ("card [PAN]", '{"c": "[PAN]"}', 3)


@pytest.mark.row("B1")
def test_a_large_day_comes_in_several_ranges_and_whole(
    stack: Stack, source: SourceConnections, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments_platform.batch.extract.FRAME_ROWS", 300)
    monkeypatch.setattr("payments_platform.batch.extract.SESSION_ROWS", 100)
    pay(stack, "a", load="load-1", at=at(day), rows=3000)
    extracted = extract_days(source, RAW_TRANSACTIONS, [day], epoch=1, workers=3, patience=SHORT)
    found = {extraction.totals.rows: list(extraction.frames) for _, extraction in extracted}
    assert list(found) == [3000]
    assert len(found[3000]) > 5
    assert pl.concat(found[3000])["transaction_id"].n_unique() == 3000


@pytest.mark.row("B1", "O9")
def test_a_transaction_still_open_from_the_day_is_waited_for(
    stack: Stack, source: SourceConnections, day: date
) -> None:
    """Its rows carry times of the day and commit later: extracted before, they would be lost."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    # Only a transaction that began before the day's end counts, so the test lets "the day's end" be far in the future.
    late = Patience(transactions=0.3, replica=30)
    with session(stack, "app") as application:
        application.execute("SELECT 1 FROM oltp.currencies LIMIT 1")
        next(iter(extract_days(source, RAW_TRANSACTIONS, [yesterday], epoch=1, patience=late)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("payments_platform.batch.cut._CLOCK_MARGIN", timedelta(days=2))
            with pytest.raises(CutTimeout, match=r"1 transaction\(s\).*payments_app.*idle in transaction"):
                next(iter(extract_days(source, RAW_TRANSACTIONS, [yesterday], epoch=1, patience=late)))
            threading.Timer(0.3, application.rollback).start()
            patient = Patience(transactions=20, replica=30)
            next(iter(extract_days(source, RAW_TRANSACTIONS, [yesterday], epoch=1, patience=patient)))


@pytest.mark.row("B1")
def test_a_day_that_is_not_over_is_refused(source: SourceConnections) -> None:
    today = datetime.now(UTC).date()
    with pytest.raises(DayNotOver, match=str(today)):
        next(iter(extract_days(source, RAW_TRANSACTIONS, [today], epoch=1, patience=SHORT)))


@pytest.mark.row("B1")
@pytest.mark.parametrize("dataset", extracted(), ids=lambda dataset: str(dataset.table))
def test_every_source_table_can_be_read_whole(source: SourceConnections, day: date, dataset: Dataset) -> None:
    assert problem_with(source, dataset) is None
    extracted = extract_days(source, dataset, [day], epoch=1, patience=SHORT)
    schemas = {tuple(frame.schema.items()) for _, extraction in extracted for frame in extraction.frames}
    assert schemas <= {tuple(dataset.schema.items())}


@pytest.mark.faults
@pytest.mark.parametrize(
    "change, undo, error, named",
    [
        (
            "ALTER TABLE oltp.merchants_history ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE oltp.merchants_history DISABLE ROW LEVEL SECURITY",
            HiddenRows,
            "CREATE POLICY extract_reads_all ON oltp.merchants_history",
        ),
        (
            "REVOKE SELECT ON oltp.merchants_history FROM payments_extract",
            "GRANT SELECT ON oltp.merchants_history TO payments_extract",
            HiddenRows,
            "GRANT SELECT ON oltp.merchants_history TO payments_extract",
        ),
        (
            "ALTER TABLE oltp.merchants_history RENAME COLUMN mcc TO category",
            "ALTER TABLE oltp.merchants_history RENAME COLUMN category TO mcc",
            SourceSchemaMismatch,
            "oltp.merchants_history lacks mcc",
        ),
    ],
)
def test_a_table_that_cannot_be_read_whole_is_refused_with_what_to_do(
    stack: Stack, source: SourceConnections, day: date, change: str, undo: str, error: type[Exception], named: str
) -> None:
    """Row security without a policy reads as an empty table and no error: a day without merchants."""
    with session(stack, "owner") as owner:
        owner.execute(change)
        owner.commit()
        try:
            with pytest.raises(error, match=named):
                next(iter(extract_days(source, RAW_MERCHANTS, [day], epoch=1, patience=SHORT)))
            problem = problem_with(source, RAW_MERCHANTS)
            assert problem is not None
            assert named in problem
        finally:
            owner.execute(undo)
            owner.commit()


@pytest.mark.row("B1")
def test_a_replica_that_does_not_catch_up_is_reported(source: SourceConnections, day: date) -> None:
    class Stuck:
        def execute(self, query: str, params: object = None) -> "Stuck":
            return self

        def fetchone(self) -> tuple[bool, int]:
            return True, 0

        def close(self) -> None:
            pass

    stuck = SourceConnections(source.primary, Stuck, source.replica_arrow)
    with pytest.raises(CutTimeout, match="behind the primary"):
        next(iter(extract_days(stuck, RAW_MERCHANTS, [day], epoch=1, patience=Patience(replica=0.2))))
