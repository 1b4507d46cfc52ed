"""The local stack as its users see it: private, idempotent, beside another one. Real servers."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from typer.testing import CliRunner

from assets_tests.conftest import PROJECT, Stack
from payments_platform.cli import app
from payments_platform.clients.postgres import connect, connect_arrow
from payments_platform.local import stack as local_stack
from payments_platform.local import statuses
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.settings import POSTGRES_LOGINS, POSTGRES_USERS, PostgresRole, PostgresServer, Settings

pytestmark = pytest.mark.integration

LOGINS = [(server, role) for server, roles in POSTGRES_LOGINS.items() for role in roles]
# Longer than the 107 bytes that the path of a Unix socket may have, with the characters that scripts trip over.
AWKWARD = f"a path with spaces & é/{'long' * 30}"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Request]:
    """What brings up a second stack; it is down again afterwards."""
    home = Home(tmp_path / AWKWARD)
    yield Request(home, PROJECT, ui=False, environment="test", any_ports=True, stop_with=os.getpid())
    local_stack.down(home, lambda _: None)


@pytest.mark.parametrize("server,role", LOGINS)
def test_every_declared_login_works_and_speaks_utc(stack: Stack, server: PostgresServer, role: PostgresRole) -> None:
    """A session in another zone would move payments to another day."""
    with connect(stack.settings.postgres(server, role)) as connection:
        row = connection.execute("SELECT current_user, current_setting('timezone')").fetchone()
    assert row == (POSTGRES_USERS[role], "UTC")


def test_arrow_connections_speak_utc_too(stack: Stack) -> None:
    with connect_arrow(stack.settings.postgres("replica", "extract")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('timezone') AS zone")
        assert cursor.fetch_arrow_table().to_pylist() == [{"zone": "UTC"}]


def test_a_wrong_password_is_refused(stack: Stack) -> None:
    address = stack.settings.postgres("primary", "app")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address.uri().replace(address.password.get_secret_value(), "wrong"))


@pytest.mark.row("S1")
def test_the_source_is_ready_for_change_capture_and_its_pages_are_checked(stack: Stack) -> None:
    with connect(stack.settings.postgres("primary", "owner")) as connection:
        rows = connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN ('wal_level', 'data_checksums', 'password_encryption')"
        ).fetchall()
    assert {str(name): value for name, value in rows} == {
        "wal_level": "logical",
        "data_checksums": "on",
        "password_encryption": "scram-sha-256",
    }


def test_servers_listen_on_this_machine_only(stack: Stack) -> None:
    """The passwords lie in a file of this machine, and so must the data."""
    pids = [it.pid for it in statuses.status(Home(stack.home)) if it.pid]
    listening = [
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


def test_status_prints_every_address_for_scripts_and_no_password(stack: Stack) -> None:
    answer = CliRunner().invoke(app, ["status", "--format", "json"])
    printed = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert printed["home"] == str(stack.home)
    for name in ("primary", "replica", "platform"):
        with socket.create_connection((printed["services"][name]["address"]["host"], _port(printed, name)), timeout=5):
            pass
    assert not any(password in answer.output for password in Home(stack.home).secrets().passwords.values())


@pytest.mark.row("D1")
def test_up_and_down_may_be_repeated_and_data_stays(stack: Stack, other: Request) -> None:
    """Beside the shared stack, below an awkward path: nothing restarts that runs, and a table outlives the stop."""
    first = local_stack.up(other)
    again = local_stack.up(other)
    assert [(it.name, it.pid, it.address) for it in again] == [(it.name, it.pid, it.address) for it in first]
    assert all(it.ready for it in first)
    settings = Settings(home=other.home.root, environment="test")
    assert settings.postgres("primary", "owner").port != stack.settings.postgres("primary", "owner").port
    with connect(settings.postgres("platform", "dagster")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    processes = [psutil.Process(it.pid) for it in first if it.pid]

    assert local_stack.down(other.home, lambda _: None)
    assert not local_stack.down(other.home, lambda _: None)
    assert not any(process.is_running() for process in processes)

    again = local_stack.up(other)
    assert [it.address for it in again] == [it.address for it in first]
    with connect(settings.postgres("platform", "dagster")) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def _port(printed: dict[str, dict[str, dict[str, dict[str, int]]]], name: str) -> int:
    return printed["services"][name]["address"]["port"]
