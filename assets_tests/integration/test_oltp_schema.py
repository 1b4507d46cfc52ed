"""What the source database promises by itself: versions, history, immutables, access, partitions.

Belongs here: the schema, driven by plain SQL in each role. Does not: the simulator and the loading of files.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, cast

import psycopg
import pytest

from assets_tests.conftest import Stack, empty
from payments_platform.clients.postgres import connect
from payments_platform.local import stack as local_stack
from payments_platform.local.home import Home
from payments_platform.local.servers.postgres import PRIMARY, superuser
from payments_platform.oltp.migrate import migrate
from payments_platform.oltp.upkeep import keep_partitions
from payments_platform.settings import PostgresRole

pytestmark = pytest.mark.integration
Row = tuple[Any, ...]


Role = PostgresRole


class Source:
    """The source in one transaction that the test's end rolls back: any role can act, nothing stays."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.connection = connection

    @contextmanager
    def acting(self, role: Role) -> Iterator[psycopg.Connection[Row]]:
        """Do something as a role; an error undoes that only."""
        with self.connection.transaction():
            self.connection.execute(f"SET LOCAL ROLE payments_{role}".encode())
            yield self.connection
            for setting in ("event_time", "load_id", "merchant_scope"):
                self.connection.execute(f"SET LOCAL payments.{setting} = ''".encode())
            self.connection.execute("RESET ROLE")

    def run(self, role: Role, *statements: str) -> None:
        """Statements of a role."""
        with self.acting(role) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, role: Role, query: str) -> list[Row]:
        """What a role reads."""
        with self.acting(role) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def emptied(stack: Stack) -> Stack:
    """The source database without a row, once for this module."""
    empty(stack)
    return stack


@pytest.fixture
def source(emptied: Stack) -> Iterator[Source]:
    """The source without a row, for one test."""
    site = local_stack.known_site(Home(emptied.home))
    assert site is not None
    with connect(superuser(site, PRIMARY.name, "payments"), name="tests") as connection:
        # Opens the transaction, so that what each role does is a savepoint in it.
        connection.execute("SELECT 1")
        yield Source(connection)
        connection.rollback()


def pay(name: str = "t1", created_at: str = "now()", count: int = 1) -> str:
    """An insert of payments ``<name>`` or ``<name>-<n>``."""
    key = f"'{name}'" if count == 1 else f"'{name}-' || n"
    return (
        "INSERT INTO oltp.transactions (transaction_id, merchant_id, customer_id, currency, status, amount_minor,"
        f" created_at) SELECT {key}, 'm1', 'c1', 'EUR', 'pending', 100, {created_at} FROM generate_series(1, {count}) n"
    )


MERCHANT = "INSERT INTO oltp.merchants (merchant_id, name) VALUES ('m1', 'Shop')"


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
def test_the_publication_holds_the_captured_tables_alone(source: Source) -> None:
    """Identities in the publication would be identities in every topic."""
    query = "SELECT tablename FROM pg_publication_tables WHERE pubname = 'payments_changes' ORDER BY 1"
    published = [name for (name,) in source.rows("owner", query)]
    assert published == sorted([*CHANGED, "transactions"])
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


def test_absurd_dates_make_no_partitions_and_are_watched(source: Source) -> None:
    """One row of the year 9999 must not make three million partitions."""
    with source.acting("loader") as loader:
        made = loader.execute("SELECT oltp.ensure_partitions('0001-01-01', '2010-01-03')").fetchone()
        assert made == (1 + 3 * (len(CHANGED) + 1),)
        loader.execute("SELECT oltp.ensure_partitions('9999-01-01', '9999-12-31')")
    source.run("app", pay("old", "'0001-06-01'"), pay("far", "'9999-06-01'"))
    watched: dict[str, int] = dict(source.rows("extract", "SELECT * FROM oltp.default_partition_rows()"))
    assert watched["transactions"] == 2
    assert watched["transactions_history"] == 0


@pytest.mark.row("P1")
def test_months_are_made_three_ahead(source: Source) -> None:
    """A payment of the first second of a month must find its partition."""
    query = "SELECT to_regclass('oltp.transactions_p' || to_char(now() + interval '3 months', 'YYYYMM')) IS NOT NULL"
    assert source.rows("owner", query) == [(True,)]


@pytest.mark.row("P1")
def test_old_history_is_detached_and_kept_aside(source: Source) -> None:
    """Dropping is a decision of its own; the extraction only must not carry years along."""
    source.run("loader", "SELECT oltp.ensure_partitions('2020-01-01', '2020-01-02')")
    with source.acting("owner") as owner:
        gone = [name for (name,) in owner.execute("SELECT oltp.detach_history(30, '2020-02-01')").fetchall()]
    assert gone == sorted(f"{table}_history_p20200101" for table in sorted([*CHANGED, "transactions"]))
    assert source.rows("owner", "SELECT count(*) FROM oltp_archive.transactions_history_p20200101") == [(0,)]


@pytest.mark.row("P1")
def test_upkeep_makes_what_comes_and_detaches_what_is_old(source: Source) -> None:
    """Nobody has to remember it: a missing month would send every payment to the default partition."""
    source.run("loader", "SELECT oltp.ensure_partitions('2020-01-01', '2020-01-01')")
    with source.acting("owner") as owner:
        done = keep_partitions(owner, date(2020, 3, 15), history_days=60)
        again = keep_partitions(owner, date(2020, 3, 15), history_days=60)
    assert done.made > 0
    assert "transactions_history_p20200101" in done.detached
    assert (again.made, again.detached) == (0, ())
    assert done.default_rows == {}


def test_upkeep_tells_of_rows_that_no_partition_took(source: Source) -> None:
    source.run("app", pay("old", "'0001-06-01'"))
    with source.acting("owner") as owner:
        done = keep_partitions(owner, date(2020, 3, 15), history_days=60)
    assert done.default_rows == {"transactions": 1}
    assert "transactions 1" in done.advice


# The tests below commit: change capture sees nothing else.


def committed(stack: Stack, role: Role, *statements: str) -> list[Row]:
    """Statements of a role in a transaction of their own; the rows of the last."""
    with connect(stack.settings.postgres("primary", role), name="tests") as connection:
        cursor = [connection.execute(statement.encode()) for statement in statements][-1]
        return cursor.fetchall() if cursor.description else []


@contextmanager
def captured(stack: Stack) -> Iterator[Callable[[], tuple[int, int]]]:
    """Count the row changes that change capture would see, and their different positions in the log."""
    with connect(stack.settings.postgres("primary", "capture"), autocommit=True) as capture:
        capture.execute("SELECT pg_create_logical_replication_slot('tests', 'pgoutput', temporary => true)")

        def count() -> tuple[int, int]:
            found = capture.execute(
                "SELECT count(*)::int, count(DISTINCT lsn)::int"
                " FROM pg_logical_slot_get_binary_changes('tests', NULL, NULL,"
                " 'proto_version', '1', 'publication_names', 'payments_changes')"
                " WHERE chr(get_byte(data, 0)) IN ('I', 'U', 'D')"
            ).fetchone()
            return cast("tuple[int, int]", found)

        yield count


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


def test_rows_that_came_before_their_partition_move_into_it(empty_source: Stack) -> None:
    """Or one early row would make it impossible ever to create its month; and no change reader may see a move."""
    event = "SET LOCAL payments.event_time = '2015-03-04 05:06+00'"
    early = pay("early", "'2015-03-04'"), "UPDATE oltp.transactions SET status = 'failed'"
    committed(empty_source, "loader", event, *early)
    with captured(empty_source) as count:
        committed(empty_source, "loader", "SELECT oltp.ensure_partitions('2015-03-01', '2015-03-05')")
        assert count() == (0, 0)
    leaf = "SELECT transaction_id, version FROM oltp.transactions_p201503"
    assert committed(empty_source, "owner", leaf) == [("early", 2)]
    assert committed(empty_source, "owner", "SELECT count(*) FROM oltp.transactions_history_p20150304") == [(2,)]
    watched = committed(empty_source, "extract", "SELECT * FROM oltp.default_partition_rows()")
    assert {count for _, count in watched} == {0}
    committed(empty_source, "app", "UPDATE oltp.transactions SET status = 'succeeded'", pay("next", "'2015-03-05'"))
    assert committed(empty_source, "extract", "SELECT max(version) FROM oltp.transactions_history") == [(3,)]


def test_migrating_again_changes_nothing(empty_source: Stack) -> None:
    """Every start of the stack migrates."""
    query = "SELECT count(*) FROM pg_class WHERE relnamespace = 'oltp'::regnamespace"
    before = committed(empty_source, "owner", query)
    migrate(empty_source.settings.postgres("primary", "owner"))
    assert committed(empty_source, "owner", query) == before
