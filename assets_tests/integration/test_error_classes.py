"""The error table against a real PostgreSQL, through psycopg and through ADBC."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

import pyarrow as pa
import pytest
from pydantic import SecretStr

from assets_tests.conftest import Stack
from payments_platform.clients.postgres import PostgresAddress, connect, connect_arrow
from payments_platform.local import ports
from payments_platform.operations.errors import classify, verdict

pytestmark = pytest.mark.integration

Connect = Callable[[PostgresAddress], Any]
UNKNOWN = verdict(ZeroDivisionError())


class Cursor(Protocol):
    """What both clients' cursors do."""

    def execute(self, query: str, /) -> object: ...

    def fetchall(self) -> list[tuple[object, ...]]: ...


@pytest.fixture
def address(stack: Stack) -> PostgresAddress:
    return stack.settings.postgres("primary", "owner")


@pytest.fixture(params=[connect, connect_arrow], ids=["psycopg", "adbc"])
def client(request: pytest.FixtureRequest) -> Connect:
    chosen: Connect = request.param
    return chosen


@contextlib.contextmanager
def session(client: Connect, address: PostgresAddress) -> Iterator[Any]:
    """A cursor whose connection is closed without a word, broken or not."""
    connection = client(address)
    cursor = connection.cursor()
    try:
        yield cursor
    finally:
        for thing in (cursor, connection):
            with contextlib.suppress(Exception):
                thing.close()


def classed(act: Callable[[], object]) -> str:
    """The class of the error that ``act`` raises, which a line of the table must know."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which error it is, is what the test looks at
        act()
    assert verdict(caught.value) != UNKNOWN, repr(caught.value)
    return classify(caught.value)


def asked(cursor: Cursor, *statements: str) -> Callable[[], object]:
    """Run statements and fetch the last one's rows, as a step would."""

    def run() -> object:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()

    return run


def backend(cursor: Cursor) -> int:
    """Process id of the cursor's session."""
    cursor.execute("SELECT pg_backend_pid()")
    return int(str(cursor.fetchall()[0][0]))


def end_session(address: PostgresAddress, process: int) -> None:
    """End a session as a server that shuts down does."""
    with connect(address, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))


@pytest.mark.row("E1")
def test_a_server_that_is_away_is_transient(client: Connect, address: PostgresAddress) -> None:
    nobody = replace(address, port=ports.choose(0))
    unresolved = replace(address, host="no-such-host.invalid")
    assert classed(lambda: client(nobody)) == "transient"
    assert classed(lambda: client(unresolved)) == "transient"


@pytest.mark.row("E2")
def test_a_refused_login_is_permanent(client: Connect, address: PostgresAddress) -> None:
    """Trying a wrong password again locks accounts and hides the sentence that would help."""
    assert classed(lambda: client(replace(address, password=SecretStr("wrong")))) == "permanent"
    assert classed(lambda: client(replace(address, user="nobody_here"))) == "permanent"
    assert classed(lambda: client(replace(address, database="postgres_not"))) == "permanent"


@pytest.mark.row("E2")
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO held VALUES (1), (1)",
        "SELECT 'x'::int",
        "SELECT 1 / (SELECT 0)",
        "SELECT * FROM no_such_table",
        "SELECT no_such_column FROM held",
        "SELECT * FROM pg_authid",
        "SELEC 1",
    ],
)
def test_a_statement_that_the_server_refuses_is_permanent(
    client: Connect, address: PostgresAddress, statement: str
) -> None:
    with session(client, address) as cursor:
        cursor.execute("CREATE TEMPORARY TABLE held (id int PRIMARY KEY)")
        assert classed(asked(cursor, statement)) == "permanent"


@pytest.mark.row("E1")
def test_a_session_that_the_server_ends_is_transient(client: Connect, address: PostgresAddress) -> None:
    """A failover ends idle and busy sessions alike."""
    with session(client, address) as idle:
        process = backend(idle)
        end_session(address, process)
        assert classed(asked(idle, "SELECT 1")) == "transient"
    with session(client, address) as busy:
        timer = threading.Timer(0.3, end_session, (address, backend(busy)))
        timer.start()
        assert classed(asked(busy, "SELECT pg_sleep(20)")) == "transient"
        timer.join()


def test_a_statement_that_ran_too_long_is_transient_and_one_that_a_person_cancelled_is_not(
    client: Connect, address: PostgresAddress
) -> None:
    with session(client, address) as slow:
        assert classed(asked(slow, "SET statement_timeout = 100", "SELECT pg_sleep(20)")) == "transient"
    with session(client, address) as stopped, connect(address, autocommit=True) as person:
        cancel = "SELECT pg_cancel_backend(%s)"
        timer = threading.Timer(0.3, person.execute, (cancel, (backend(stopped),)))
        timer.start()
        assert classed(asked(stopped, "SELECT pg_sleep(20)")) == "permanent"
        timer.join()


@pytest.fixture
def table(address: PostgresAddress) -> Iterator[str]:
    """A table of one row that two sessions may quarrel about."""
    name = "public.error_classes"
    with connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {name} AS SELECT 1 AS n")
        yield name
        connection.execute(f"DROP TABLE {name}")


@pytest.mark.row("E1")
def test_two_sessions_that_change_the_same_row_are_transient(
    client: Connect, address: PostgresAddress, table: str
) -> None:
    with session(client, address) as cursor, connect(address, autocommit=True) as other:
        asked(cursor, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", f"SELECT n FROM {table}")()
        other.execute(f"UPDATE {table} SET n = 2")
        assert classed(asked(cursor, f"UPDATE {table} SET n = 3 RETURNING n")) == "transient"


@pytest.mark.row("E1")
def test_a_table_that_another_session_locks_is_transient(client: Connect, address: PostgresAddress, table: str) -> None:
    with session(client, address) as cursor, connect(address) as other:
        other.execute(f"LOCK TABLE {table}")
        assert classed(asked(cursor, "SET lock_timeout = 100", f"SELECT n FROM {table}")) == "transient"


@pytest.mark.row("E2")
def test_a_bulk_load_that_does_not_fit_its_table_is_permanent(address: PostgresAddress, table: str) -> None:
    with session(connect_arrow, address) as cursor:
        rows = pa.table({"n": ["not a number"]})
        assert classed(lambda: cursor.adbc_ingest("error_classes", rows, mode="append")) == "permanent"
