"""The application's pooler, in the file that is shipped, before the real source.

Belongs here: what pooling by transaction must not break. Does not: the figures of the file (unit/test_pools.py).
"""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Template

import psycopg
import pytest

from assets_tests.conftest import Stack
from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.local.privileges import unprivileged

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
# The first version that prepares statements again by transaction. Debian 12 has an older one, which refuses the line of
# the file that asks for it and runs all the others.
PREPARES = (1, 21)
PREPARED_LINE = "max_prepared_statements"


def _version() -> tuple[int, ...]:
    if PROGRAM is None:
        return ()
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()


INI = Path(__file__).resolve().parents[2] / "deploy/pgbouncer/pgbouncer.ini"
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.row("P2"),
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed"),
]


@pytest.fixture(scope="module")
def pooled(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresAddress]:
    """The application's address at a running pooler."""
    folder = tmp_path_factory.mktemp("pooler")
    primary, replica = stack.settings.postgres("primary", "app"), stack.settings.postgres("replica", "extract")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    accounts = folder / "accounts"
    accounts.write_text(f'"{primary.user}" "{primary.password.get_secret_value()}"\n', encoding="utf-8")
    accounts.chmod(0o600)
    values = {"PRIMARY_HOST": primary.host, "PRIMARY_PORT": primary.port, "REPLICA_HOST": replica.host}
    values |= {"REPLICA_PORT": replica.port, "LISTEN_ADDRESS": "127.0.0.1", "LISTEN_PORT": port, "AUTH_FILE": accounts}
    filled = folder / "pgbouncer.ini"
    lines = Template(INI.read_text(encoding="utf-8")).substitute(values).splitlines()
    known = [line for line in lines if _version() >= PREPARES or not line.startswith(PREPARED_LINE)]
    filled.write_text("\n".join(known), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*unprivileged(), str(PROGRAM), str(filled)], stdout=log, stderr=log)
    address = replace(primary, host="127.0.0.1", port=port)
    try:
        _await(address, folder / "log")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def _await(address: PostgresAddress, log: Path) -> None:
    for _ in range(50):
        try:
            connect(address).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text(encoding="utf-8"))


def test_many_clients_share_few_server_connections(pooled: PostgresAddress) -> None:
    """One server connection per client would meet the account's limit at the first busy hour."""
    clients = [connect(pooled, autocommit=True) for _ in range(60)]
    try:
        backends = {row for client in clients if (row := client.execute("SELECT pg_backend_pid()").fetchone())}
    finally:
        for client in clients:
            client.close()
    assert 1 <= len(backends) <= 8


def test_a_rush_that_the_account_refuses_is_queued_by_the_pooler(stack: Stack, pooled: PostgresAddress) -> None:
    """Before and after: of a hundred clients the server takes 32 and refuses a payment to each of the others."""

    def served(address: PostgresAddress) -> int:
        clients, refused = [], 0
        for _ in range(100):
            try:
                clients.append(connect(address, autocommit=True))
            except psycopg.OperationalError:
                refused += 1
        for client in clients:
            client.execute("SELECT 1")
            client.close()
        return 100 - refused

    # The pooler's own connections are among the 32.
    assert 20 <= served(stack.settings.postgres("primary", "app")) <= 32
    assert served(pooled) == 100


@pytest.mark.skipif(_version() < PREPARES, reason="this pgbouncer is older than 1.21")
def test_prepared_statements_follow_their_client(pooled: PostgresAddress) -> None:
    """Drivers prepare without asking; a statement unknown to the next server connection would fail a payment."""
    with connect(pooled, autocommit=True) as one, connect(pooled, autocommit=True) as other:
        for number in range(5):
            for client in (one, other):
                assert client.execute("SELECT %s::int + 1", (number,), prepare=True).fetchone() == (number + 1,)
                with client.transaction():
                    client.execute("SELECT 1")


def test_a_setting_of_one_transaction_does_not_reach_the_next_client(pooled: PostgresAddress) -> None:
    """Row security by merchant rests on it: a setting that stays would show one merchant another's payments."""
    with connect(pooled) as one:
        one.execute("SET LOCAL payments.merchant_scope = 'm1'")
        assert one.execute("SELECT current_setting('payments.merchant_scope', true)").fetchone() == ("m1",)
    with connect(pooled) as other:
        row = other.execute("SELECT coalesce(current_setting('payments.merchant_scope', true), '')").fetchone()
    assert row == ("",)


def test_a_pooled_session_is_in_utc_too(pooled: PostgresAddress) -> None:
    """The pooler drops what a client asks for at connection; in another zone payments would change their day."""
    with connect(pooled) as client:
        assert client.execute("SHOW timezone").fetchone() == ("UTC",)
