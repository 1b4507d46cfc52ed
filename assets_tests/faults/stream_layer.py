"""A speed layer of its own for the fault runs: every server and worker, which no other test shares or is harmed by.

Belongs here: starting it, its commands, what a person would ask of it. Does not: faults.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
import pytest

from assets_tests.conftest import DOWNLOADS, PROJECT
from assets_tests.faults.stream_checker import Verdict
from assets_tests.faults.stream_run import PAYMENTS
from payments_platform.clients.dagster import records_of
from payments_platform.clients.postgres import connect
from payments_platform.commands.verify import DIFFERS
from payments_platform.local import selection, sites
from payments_platform.local import stack as local_stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.local.servers.dagster import DAEMON
from payments_platform.local.servers.postgres import superuser
from payments_platform.local.service import Site
from payments_platform.settings import Settings, load_settings
from payments_platform.streaming.capture.build import capture_of
from payments_platform.streaming.capture.connector import CONNECTOR
from payments_platform.streaming.comparison import KIND
from payments_platform.streaming.verification import STORE

Statement = Callable[[str], list[tuple[Any, ...]]]
STORES: Final = ("mongodb", "mongodb states", "elasticsearch", "lake")
# Servers that live for minutes: machine code made by the quick compiler alone, whose work is most of a start.
_JAVA_OPTIONS: Final = "-XX:TieredStopAtLevel=1"
# The lake's worker may hold a message so long; a run of faults cannot wait for the five minutes of every day.
_FLUSH_SECONDS: Final = "3"


@dataclass(frozen=True)
class SpeedLayer:
    """A running speed layer in a home of its own."""

    home: Home
    settings: Settings
    request: Request

    @property
    def site(self) -> Site:
        """Its ports and passwords."""
        site = sites.known_site(self.home)
        assert site is not None
        return site

    @contextmanager
    def statements(self, server: Literal["primary", "replica"]) -> Iterator[Statement]:
        """Statements at a server with full rights, each its own transaction."""
        with connect(superuser(self.site, server, "payments"), autocommit=True, name="faults") as session:

            def run(statement: str) -> list[tuple[Any, ...]]:
                done = session.execute(statement.encode())
                return done.fetchall() if done.description else []

            yield run

    @property
    def environment(self) -> dict[str, str]:
        """What leads a command here; the fixture has put the variables there."""
        return dict(os.environ)

    def up(self, *, workers: bool) -> None:
        """`payments up`, as a person runs it after `payments down`; without workers, capture is not set up."""
        names = [it.name for it in selection.services(ui=False, streams=True, workers=workers)]
        local_stack.up(replace(self.request, workers=workers, only=tuple(names)))

    def down(self) -> None:
        """`payments down`."""
        local_stack.down(self.home, lambda _: None)

    def differences(self, settle: float = 0) -> pl.DataFrame:
        """What `payments verify` lists: store, kind, payment, version."""
        command = [PAYMENTS, "verify", "--format", "json", "--settle", str(settle)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode in {0, DIFFERS}, f"{done.returncode}: {done.stderr}"
        schema = {
            STORE: pl.String,
            KIND: pl.String,
            "transaction_id": pl.String,
            "version": pl.Int64,
            "what": pl.String,
        }
        return pl.DataFrame(json.loads(done.stdout), schema=schema)

    def stores(self, settle: float = 0) -> list[Verdict]:
        """What `payments verify` says of each store."""
        found = self.differences(settle)
        return [Verdict(name, 0, 0, found.filter(pl.col(STORE) == name)) for name in STORES]


@contextmanager
def running(folder: Path, *, daemon: bool) -> Iterator[SpeedLayer]:
    """Start everything but Dagster's web server, which nothing here asks, and stop it whatever happens."""
    home = Home(folder.resolve())
    names = [it.name for it in selection.services(ui=False, streams=True, workers=True)]
    request = Request(
        home,
        PROJECT,
        DOWNLOADS,
        ui=daemon,
        only=(*names, *([DAEMON.name] if daemon else [])),
        streams=True,
        workers=True,
        environment="test",
        any_ports=True,
        stop_with=os.getpid(),
    )
    variables = {
        "PAYMENTS_HOME": str(home.root),
        "PAYMENTS_ENVIRONMENT": "test",
        "PAYMENTS_DOWNLOADS": str(DOWNLOADS),
        "PAYMENTS_FLUSH_SECONDS": _FLUSH_SECONDS,
        "JAVA_TOOL_OPTIONS": _JAVA_OPTIONS,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        try:
            local_stack.up(request)
            settings = load_settings()
            until_true(lambda: capture_runs(settings), "change capture does not run")
            if daemon:
                until_true(lambda: daemon_beats(settings), "Dagster's daemon does not run")
            yield SpeedLayer(home, settings, request)
        finally:
            local_stack.down(home, lambda _: None)


def capture_runs(settings: Settings) -> bool:
    """The guardian of capture, one of the workers, sets it up: topics, slot, connector."""
    state = capture_of(settings).connect.state(CONNECTOR)
    return bool(state and state.runs)


def daemon_beats(settings: Settings) -> bool:
    """Its sensors have been looked at."""
    with records_of(settings) as instance:
        return "SENSOR" in instance.get_daemon_heartbeats()


def until_true(holds: Callable[[], bool], otherwise: str, seconds: float = 120) -> None:
    """Wait until a condition holds; fail with what is so otherwise."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.3)
