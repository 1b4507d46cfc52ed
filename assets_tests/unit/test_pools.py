"""Limits of sessions and the pooler's file: the sums that keep one account from starving another.

Belongs here: figures compared with each other. Does not: a running server.
"""

import configparser
from itertools import pairwise
from pathlib import Path

import pytest

from payments_platform.local.servers.postgres import PRIMARY
from payments_platform.local.servers.sessions import LIMITS

INI = Path(__file__).resolve().parents[2] / "deploy/pgbouncer/pgbouncer.ini"
# The server's max_connections less the three it keeps for superusers and those of setting up and replication.
AVAILABLE = 100 - 3 - 5


@pytest.fixture(scope="module")
def pooler() -> configparser.ConfigParser:
    """The pooler's file as it is in the repository."""
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=(";",))
    parser.read(INI, encoding="utf-8")
    return parser


def option(entry: str, name: str) -> str | None:
    """One option of a database's line."""
    return dict(pair.split("=", 1) for pair in entry.split()).get(name)


@pytest.mark.row("P2")
def test_all_accounts_at_their_limit_leave_connections_to_the_superuser() -> None:
    """A sum above the server's lets one account's burst refuse the application's payments."""
    assert sum(limits.connections for limits in LIMITS.values()) <= AVAILABLE


@pytest.mark.row("P2")
def test_every_account_of_the_source_has_limits() -> None:
    assert set(LIMITS) == set(PRIMARY.databases["payments"])


@pytest.mark.row("P2")
def test_no_account_may_forget_a_transaction() -> None:
    """An open transaction holds back the cut of a day."""
    assert [name for name, limits in LIMITS.items() if limits.idle_in_transaction_session_timeout == "0"] == []


@pytest.mark.row("P2")
def test_pools_stay_below_the_limits_of_their_accounts(pooler: configparser.ConfigParser) -> None:
    """Above them the pooler would meet refusals where it should queue."""
    assert pooler.getint("pgbouncer", "max_db_connections") <= LIMITS["payments_app"].connections
    sizes = {name: int(option(entry, "pool_size") or 0) for name, entry in pooler["databases"].items()}
    assert sizes == {"payments": 8, "payments_extract": 4}


@pytest.mark.row("P2")
def test_the_application_shares_by_transaction_and_extraction_by_session(pooler: configparser.ConfigParser) -> None:
    assert pooler["pgbouncer"]["pool_mode"] == "transaction"
    assert pooler.getint("pgbouncer", "max_prepared_statements") > 0
    assert option(pooler["databases"]["payments_extract"], "pool_mode") == "session"
    assert option(pooler["databases"]["payments_extract"], "host") == "${REPLICA_HOST}"


@pytest.mark.row("P2")
def test_every_setting_of_the_pooler_has_its_reason() -> None:
    """A figure without a reason is never changed, or changed blindly."""
    lines = INI.read_text(encoding="utf-8").splitlines()
    bare = [line for before, line in pairwise(lines) if "=" in line and line[0] != ";" and before[:1] != ";"]
    # These share the reason of the line above them.
    assert set(bare) <= {
        "listen_port = ${LISTEN_PORT}",
        "auth_file = ${AUTH_FILE}",
        "log_disconnections = 0",
        "stats_period = 60",
    }
