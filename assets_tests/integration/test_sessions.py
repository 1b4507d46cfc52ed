"""Sessions of the source: their limits are in force on the primary and the replica; one day is one partition.

Belongs here: what a real login of each role meets. Does not: the sums of the limits (unit/test_pools.py).
"""

import re
from time import sleep

import psycopg
import pytest

from assets_tests.conftest import Stack
from payments_platform.clients.postgres import connect
from payments_platform.local.servers.sessions import LIMITS
from payments_platform.settings import PostgresRole

pytestmark = pytest.mark.integration
ROLES: tuple[PostgresRole, ...] = ("app", "extract", "loader", "owner")


@pytest.mark.row("P2")
@pytest.mark.parametrize("role", ROLES)
def test_a_login_gets_the_limits_of_its_account(stack: Stack, role: PostgresRole) -> None:
    limits = LIMITS[f"payments_{role}"]
    with connect(stack.settings.postgres("primary", role)) as connection:
        for name, value in limits.settings().items():
            row = connection.execute("SELECT current_setting(%s)::interval = %s::interval", (name, value)).fetchone()
            assert row == (True,), name
        row = connection.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user").fetchone()
    assert row == (limits.connections,)


@pytest.mark.row("P2")
def test_extraction_is_limited_on_the_replica_too(stack: Stack) -> None:
    with connect(stack.settings.postgres("replica", "extract")) as connection:
        row = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert row == (LIMITS["payments_extract"].idle_in_transaction_session_timeout,)


@pytest.mark.row("P2")
def test_a_forgotten_transaction_of_the_application_is_ended(stack: Stack) -> None:
    """Left open, it would hold back the cut of its day for ever. The time is shortened here, the mechanism is not."""
    with connect(stack.settings.postgres("primary", "app"), autocommit=True) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = '100ms'")
        connection.execute("BEGIN")
        sleep(1)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            connection.execute("SELECT 1")


@pytest.mark.row("P1")
@pytest.mark.parametrize("table, column", [("transactions", "created_at"), ("transactions_history", "updated_at")])
def test_one_day_is_read_from_its_partition_and_the_default_alone(stack: Stack, table: str, column: str) -> None:
    """Reading every month for one day makes each day as slow as the whole history."""
    with connect(stack.settings.postgres("primary", "extract")) as connection:
        day = "date_trunc('day', now(), 'UTC')"
        bounds = connection.execute(f"SELECT {day}, {day} + interval '1 day'".encode()).fetchone()
        assert bounds is not None
        low, high = bounds
        where = f"{column} >= '{low}' AND {column} < '{high}'"
        plan = connection.execute(f"EXPLAIN SELECT * FROM oltp.{table} WHERE {where}".encode()).fetchall()
    scanned = {leaf for (line,) in plan for leaf in re.findall(r" on (\w+_(?:p\d+|default))\b", str(line))}
    assert len(scanned - {f"{table}_default"}) == 1, plan
