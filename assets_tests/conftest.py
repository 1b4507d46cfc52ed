"""Fixtures that every kind of test may use.

Belongs here: the stack of real servers that integration tests share. Does not: fixtures of one folder or one room.
Unit tests take none of these and start no server.
"""

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import psycopg
import pytest
from hypothesis import settings as hypothesis_settings

from payments_platform.clients.postgres import connect
from payments_platform.local import selection, sites
from payments_platform.local import stack as local_stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.local.servers.postgres import PRIMARY, superuser
from payments_platform.settings import Settings, load_settings

PROJECT = Path(__file__).resolve().parents[1]
# A home whose stack may be used and left running: quicker for a person who runs one test again and again.
REUSED_HOME = "PAYMENTS_TEST_HOME"
# The files of the Java servers, fetched once for all test runs of this checkout and for its own stack.
DOWNLOADS = Path(os.environ.get("PAYMENTS_DOWNLOADS") or PROJECT / ".local" / "cache")
_DATABASE, _PRISTINE = "payments", "payments_pristine"
# An example on a busy machine may take as long as it likes: no test is timed.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


def pytest_unconfigure() -> None:
    """Let pytest have the last word: DuckDB's binding counts its live objects on stderr after the interpreter's end."""
    atexit.register(os.dup2, os.open(os.devnull, os.O_WRONLY), 2)


@dataclass(frozen=True)
class Stack:
    """A running, migrated stack in a home of its own."""

    home: Path
    settings: Settings


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Start the PostgreSQL servers once for the whole run, in environment "test", and stop them whatever happens.

    When the test run itself is killed, a guardian beside the servers stops them.
    """
    reused = os.environ.get(REUSED_HOME)
    folder = Path(reused) if reused else Path(tempfile.mkdtemp(prefix="payments-test-"))
    home = Home(folder.resolve())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAYMENTS_HOME", str(home.root))
        patch.setenv("PAYMENTS_ENVIRONMENT", "test")
        patch.setenv("PAYMENTS_DOWNLOADS", str(DOWNLOADS))
        try:
            local_stack.up(_request(home))
            _keep_pristine(home)
            yield Stack(home.root, load_settings())
            if reused:
                # The next run takes the database as it finds it for what the migrations left.
                _replace(home.root, template=_PRISTINE, database=_DATABASE)
        finally:
            if not reused:
                local_stack.down(home, _silent)
                left = _processes_of(home.root)
                shutil.rmtree(home.root, ignore_errors=True)
                assert left == [], "the stack left processes behind"


@pytest.fixture(scope="session")
def stream_stack(stack: Stack) -> Stack:
    """The shared stack with the servers of the speed layer, started when the first test asks for them."""
    local_stack.up(replace(_request(Home(stack.home)), streams=True))
    return stack


def _request(home: Home) -> Request:
    lives_on = os.environ.get(REUSED_HOME)
    return Request(
        home,
        PROJECT,
        DOWNLOADS,
        ui=False,
        environment="test",
        any_ports=True,
        stop_with=None if lives_on else os.getpid(),
    )


@pytest.fixture
def search(stream_stack: Stack) -> Stack:
    """The same, for tests of Elasticsearch: skipped by name where there is no JDK (under CI that is an error)."""
    if "elasticsearch" not in Home(stream_stack.home).services():
        pytest.skip(selection.SEARCH_OFF)
    return stream_stack


def _processes_of(home: Path) -> list[str]:
    """Return the command lines that name this home."""
    lines = [it.info["cmdline"] or [] for it in psutil.process_iter(["cmdline"])]
    return [" ".join(words) for words in lines if any(str(home) in word for word in words)]


@pytest.fixture
def empty_source(stack: Stack) -> Stack:
    """The stack with its source database as the migrations left it: no row of an earlier test."""
    empty(stack)
    return stack


def empty(stack: Stack) -> None:
    """Bring the source database back to what the migrations left; for fixtures that serve more than one test."""
    _replace(stack.home, template=_PRISTINE, database=_DATABASE)


def _keep_pristine(home: Home) -> None:
    _replace(home.root, template=_DATABASE, database=_PRISTINE)


def _replace(home: Path, *, template: str, database: str) -> None:
    """Make ``database`` a copy of ``template``, ending the sessions of both."""
    site = sites.known_site(Home(home))
    assert site is not None
    with connect(superuser(site, PRIMARY.name), autocommit=True, name="tests") as connection:
        for name in (template, database):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                (name,),
            )
        connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {database} TEMPLATE {template} OWNER payments_owner")
        connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        for user in next(iter(PRIMARY.databases.values())):
            connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {user}")
        connection.execute(f"GRANT TEMPORARY ON DATABASE {database} TO payments_loader")
        _await_replica(connection)


def _await_replica(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Wait until the replica has done what the primary did: a test would look for the new database there too early."""
    done = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
    for _ in range(600):
        followed = connection.execute("SELECT bool_and(replay_lsn >= %s) FROM pg_stat_replication", done).fetchone()
        if followed == (True,):
            return
        time.sleep(0.1)
    pytest.fail("the replica does not follow the primary")


def _silent(text: str) -> None:
    """Tests print nothing."""
