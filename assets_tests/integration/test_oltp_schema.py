"""What the source database promises by itself: versions, history, immutables, access.

Belongs here: the schema, driven by plain SQL in each role. Does not: partitions (test_partitions.py), the simulator and
the loading of files.
"""

from datetime import UTC, datetime

import psycopg
import pytest

from assets_tests.conftest import Stack
from assets_tests.integration.source import MERCHANT, Source, captured, committed, pay
from payments_platform.clients.postgres import connect
from payments_platform.oltp.migrate import migrate
from payments_platform.settings import PostgresRole

pytestmark = pytest.mark.integration


@pytest.mark.row("B1", "Y1")
def test_every_change_becomes_a_numbered_version_in_history(source: Source) -> None:
    """Extraction reads history alone: a change that is not there never happened."""
    source.run("app", MERCHANT, pay())
    source.run("app", "UPDATE oltp.transactions SET status = 'succeeded'")
    source.run("app", "DELETE FROM oltp.transactions")
    found = source.rows(
        "extract",
        "SELECT version, op, previous_status, status, is_merchant_known, is_customer_known, is_payment_method_known"
        " FROM oltp.transactions_history ORDER BY version",
    )
    assert found == [
        (1, "c", None, "pending", True, False, None),
        (2, "u", "pending", "succeeded", True, False, None),
        (3, "d", "succeeded", "succeeded", None, None, None),
    ]


@pytest.mark.parametrize("count", [3, 250])
def test_history_is_the_same_for_few_rows_and_many(source: Source, count: int) -> None:
    """Few rows use a cached plan and many a fresh one: two paths that must not differ."""
    source.run("app", MERCHANT, pay(), pay("t", count=count), "UPDATE oltp.transactions SET status = 'failed'")
    query = (
        "SELECT op, version, previous_status, count(*), count(DISTINCT transaction_id), bool_and(is_merchant_known)"
        " FROM oltp.transactions_history GROUP BY 1, 2, 3 ORDER BY 2"
    )
    assert source.rows("extract", query) == [
        ("c", 1, None, count + 1, count + 1, True),
        ("u", 2, "pending", count + 1, count + 1, True),
    ]


CHANGED = {
    "merchants": "name",
    "customers": "segment",
    "payment_methods": "method_type",
    "devices": "os_name",
    "refunds": "status",
    "disputes": "status",
    "subscriptions": "status",
    "consents": "channel",
}


@pytest.mark.parametrize("table,changed", CHANGED.items())
def test_other_captured_tables_keep_history_too(source: Source, table: str, changed: str) -> None:
    """Dimensions with history are built from it."""
    key = f"{table.removesuffix('s')}_id"
    token = ", customer_token, token_key_id" if table == "customers" else ""
    values = ", 'tok', 'k1'" if token else ""
    previous = "previous_status" if changed == "status" else "NULL"
    source.run("app", f"INSERT INTO oltp.{table} ({key}{token}) VALUES ('x'{values})")
    source.run("app", f"UPDATE oltp.{table} SET {changed} = 'new'", f"UPDATE oltp.{table} SET {changed} = 'newer'")
    source.run("app", f"DELETE FROM oltp.{table}")
    found = source.rows(
        "extract", f"SELECT version, op, {changed}, {previous} FROM oltp.{table}_history ORDER BY version"
    )
    before = ("new", "newer") if changed == "status" else (None, None)
    assert found == [
        (1, "c", None, None),
        (2, "u", "new", None),
        (3, "u", "newer", before[0]),
        (4, "d", "newer", before[1]),
    ]
    with pytest.raises(psycopg.errors.UniqueViolation, match="x belonged to a deleted row and is never used again"):
        source.run("app", f"INSERT INTO oltp.{table} ({key}{token}) VALUES ('x'{values})")


@pytest.mark.row("B3")
def test_each_version_says_what_its_references_met(source: Source) -> None:
    """A reference is judged once, where the row is written: later the other row may have come or gone."""
    source.run(
        "app",
        pay(),
        "INSERT INTO oltp.devices (device_id, customer_id, device_type) VALUES ('d1', 'c1', 'mobile')",
        "UPDATE oltp.transactions SET device_id = 'd1'",
        "INSERT INTO oltp.refunds (refund_id, transaction_id) VALUES ('r1', 't1'), ('r2', 'nowhere'), ('r3', NULL)",
        "INSERT INTO oltp.subscriptions (subscription_id, customer_id, merchant_id) VALUES ('s1', 'c1', 'm1')",
    )
    device = "SELECT is_device_known, device_type FROM oltp.transactions_history ORDER BY version"
    assert source.rows("extract", device) == [(None, None), (True, "mobile")]
    refunds = "SELECT is_transaction_known FROM oltp.refunds_history ORDER BY refund_id"
    assert source.rows("extract", refunds) == [(True,), (False,), (None,)]
    subscription = "SELECT is_customer_known, is_merchant_known FROM oltp.subscriptions_history"
    assert source.rows("extract", subscription) == [(False, False)]


@pytest.mark.row("C7")
def test_an_id_is_unique_over_months_and_never_used_again(source: Source) -> None:
    """Partitioned tables know uniqueness within a month only."""
    source.run("app", pay("t1", "'2020-01-01'"))
    with pytest.raises(psycopg.errors.UniqueViolation, match="t1"):
        source.run("app", pay("t1", "now()"))
    source.run("app", "DELETE FROM oltp.transactions")
    with pytest.raises(psycopg.errors.UniqueViolation, match="never used again"):
        source.run("app", pay("t1", "now()"))


@pytest.mark.parametrize("column,value", [
    ("transaction_id", "'t2'"), ("created_at", "now() - interval '1 s'"), ("currency", "'USD'"),
    ("customer_id", "'c2'"), ("customer_token", "'tok'"), ("merchant_id", "NULL"),
])  # fmt: skip
def test_what_identifies_a_payment_cannot_change(source: Source, column: str, value: str) -> None:
    """A payment that changes merchant or currency is another payment, and every total before it is wrong."""
    source.run("app", pay())
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match=f"{column} of transactions t1 cannot change"):
        source.run("app", f"UPDATE oltp.transactions SET {column} = {value}")


def test_only_the_loader_chooses_event_times(source: Source) -> None:
    """An application that dates its writes back would slip them into days that were extracted already."""
    past = "SET LOCAL payments.event_time = '2020-05-05 12:00+00'"
    load = "SET LOCAL payments.load_id = 'load-1'"
    source.run("app", past, load, pay("app"))
    source.run("loader", past, load, pay("loader"))
    source.run("loader", past, load, "DELETE FROM oltp.transactions WHERE transaction_id = 'loader'")
    found = source.rows(
        "extract",
        "SELECT transaction_id, version, updated_at < '2021-01-01', load_id FROM oltp.transactions_history"
        " ORDER BY 1, 2",
    )
    assert found == [("app", 1, False, None), ("loader", 1, True, "load-1"), ("loader", 2, True, "load-1")]


def test_the_word_row_takes_the_event_time_from_each_row(source: Source) -> None:
    """Bulk history writes a thousand instants in one statement."""
    insert = (
        "INSERT INTO oltp.merchants (merchant_id, created_at, updated_at)"
        " VALUES ('a', '2020-01-01', '2020-01-02'), ('b', '2020-01-03', NULL)"
    )
    source.run("loader", "SET LOCAL payments.event_time = 'row'", insert)
    found = source.rows("extract", "SELECT updated_at FROM oltp.merchants_history ORDER BY merchant_id")
    assert found == [(datetime(2020, 1, 2, tzinfo=UTC),), (datetime(2020, 1, 3, tzinfo=UTC),)]
    with pytest.raises(psycopg.errors.RaiseException, match="a delete has no row"):
        source.run("loader", "SET LOCAL payments.event_time = 'row'", "DELETE FROM oltp.merchants")


@pytest.mark.row("C7")
@pytest.mark.parametrize("role", ["app", "loader", "extract", "capture"])
def test_nobody_but_the_owner_writes_a_partition_or_history(source: Source, role: PostgresRole) -> None:
    """The history trigger sits on the root: a row written into a leaf is a change without history."""
    for table in ("transactions_default", "transactions_history", "transactions_history_default", "transaction_keys"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            source.run(role, f"DELETE FROM oltp.{table}")


@pytest.mark.row("O6")
@pytest.mark.parametrize("role", ["extract", "capture"])
def test_identities_are_closed_to_what_feeds_the_platform(source: Source, role: PostgresRole) -> None:
    """Names and addresses never leave the source database."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        source.rows(role, "SELECT * FROM oltp.customer_identities")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        source.run(role, MERCHANT)


def test_readers_have_a_policy_on_every_table_with_row_security(source: Source) -> None:
    """Without one they read no row, and get no error."""
    query = (
        "SELECT role, c.relname FROM unnest(ARRAY['payments_extract', 'payments_capture']) role, pg_class c"
        " WHERE c.relnamespace = 'oltp'::regnamespace AND c.relrowsecurity"
        " AND has_table_privilege(role, c.oid, 'SELECT') AND NOT EXISTS"
        " (SELECT FROM pg_policies p WHERE p.tablename = c.relname AND role = ANY(p.roles) AND p.qual = 'true')"
    )
    assert source.rows("owner", query) == []
    source.run("app", pay())
    assert source.rows("extract", "SELECT count(*) FROM oltp.transactions") == [(1,)]
    assert source.rows("capture", "SELECT count(*) FROM oltp.transactions") == [(1,)]


def test_a_service_of_one_merchant_sees_no_other(source: Source) -> None:
    """A mistake in one service must not show a merchant another's payments."""
    scope = "SET LOCAL payments.merchant_scope = 'm2'"
    source.run("app", pay())
    with source.acting("app") as service:
        service.execute(scope.encode())
        assert service.execute("SELECT count(*) FROM oltp.transactions").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        source.run("app", scope, pay("t2"))


@pytest.mark.row("S1")
def test_the_publication_holds_the_captured_tables_and_what_capture_writes_alone(source: Source) -> None:
    """Identities in the publication would be identities in every topic."""
    query = "SELECT tablename FROM pg_publication_tables WHERE pubname = 'payments_changes' ORDER BY 1"
    published = [name for (name,) in source.rows("owner", query)]
    assert published == sorted([*CHANGED, "transactions", "capture_heartbeats", "capture_signals"])
    leaves = (
        "SELECT count(*) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid"
        " WHERE i.inhparent = 'oltp.transactions'::regclass AND c.relreplident <> 'f'"
    )
    assert source.rows("owner", leaves) == [(0,)]


@pytest.mark.parametrize("statement", [
    "UPDATE oltp.exchange_rates SET usd_rate = 2", "DELETE FROM oltp.exchange_rates",
    "TRUNCATE oltp.exchange_rates", "TRUNCATE oltp.transactions", "TRUNCATE oltp.merchants",
])  # fmt: skip
def test_what_only_grows_refuses_to_shrink_even_for_the_owner(source: Source, statement: str) -> None:
    """Amounts were converted with these rates; truncated rows leave no history."""
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is refused"):
        source.run("owner", statement)


@pytest.mark.row("S1")
def test_bulk_rows_have_log_positions_of_their_own(empty_source: Stack) -> None:
    """A change reader that restarts among rows of one position loses the rest of them, for ever."""
    with captured(empty_source) as count:
        with connect(empty_source.settings.postgres("primary", "loader")) as loader:
            with loader.cursor().copy("COPY oltp.merchants (merchant_id) FROM STDIN") as copy:
                for number in range(2_000):
                    copy.write_row((f"m{number}",))
            loader.execute(pay("t", count=2_000).encode())
        assert count() == (4_000, 4_000)


def test_migrating_again_changes_nothing(empty_source: Stack) -> None:
    """Every start of the stack migrates."""
    query = "SELECT count(*) FROM pg_class WHERE relnamespace = 'oltp'::regnamespace"
    before = committed(empty_source, "owner", query)
    migrate(empty_source.settings.postgres("primary", "owner"))
    assert committed(empty_source, "owner", query) == before
