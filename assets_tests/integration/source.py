"""The source database as tests drive it: statements of each role, rolled back or committed.

Belongs here: what tests of the schema share. Does not: the fixtures (conftest.py), assertions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from assets_tests.conftest import Stack
from payments_platform.clients.postgres import connect
from payments_platform.settings import PostgresRole

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


def pay(name: str = "t1", created_at: str = "now()", count: int = 1) -> str:
    """An insert of payments ``<name>`` or ``<name>-<n>``."""
    key = f"'{name}'" if count == 1 else f"'{name}-' || n"
    return (
        "INSERT INTO oltp.transactions (transaction_id, merchant_id, customer_id, currency, status, amount_minor,"
        f" created_at) SELECT {key}, 'm1', 'c1', 'EUR', 'pending', 100, {created_at} FROM generate_series(1, {count}) n"
    )


MERCHANT = "INSERT INTO oltp.merchants (merchant_id, name) VALUES ('m1', 'Shop')"


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
