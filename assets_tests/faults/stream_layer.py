"""A speed layer of its own for the fault runs: every server and worker, which no other test shares or is harmed by.

Belongs here: starting it, its commands, what a person would ask of it. Does not: faults.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from assets_tests.conftest import DOWNLOADS, PROJECT
from assets_tests.faults.stream_checker import Verdict
from assets_tests.faults.stream_run import PAYMENTS
from payments_platform.local import stack as local_stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.settings import Settings, load_settings
from payments_platform.streaming.capture.build import capture_of
from payments_platform.streaming.capture.connector import CONNECTOR
from payments_platform.streaming.comparison import KIND
from payments_platform.streaming.verification import STORE

STORES: Final = ("mongodb", "mongodb states", "elasticsearch", "lake")
# The lake's worker may hold a message so long; a run of faults cannot wait for the five minutes of every day.
_FLUSH_SECONDS: Final = "3"


@dataclass(frozen=True)
class SpeedLayer:
    """A running speed layer in a home of its own."""

    home: Home
    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        """What leads a command here; the fixture has put the variables there."""
        return dict(os.environ)

    def stores(self, settle: float = 0) -> list[Verdict]:
        """What `payments verify` says of each store."""
        command = [PAYMENTS, "verify", "--format", "json", "--settle", str(settle)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 1}, done.stderr
        schema = {
            STORE: pl.String,
            KIND: pl.String,
            "transaction_id": pl.String,
            "version": pl.Int64,
            "what": pl.String,
        }
        found = pl.DataFrame(json.loads(done.stdout), schema=schema)
        return [Verdict(name, 0, 0, found.filter(pl.col(STORE) == name)) for name in STORES]


@contextmanager
def running(folder: Path, *, ui: bool) -> Iterator[SpeedLayer]:
    """Start everything, and stop it whatever happens."""
    home = Home(folder.resolve())
    request = Request(
        home,
        PROJECT,
        DOWNLOADS,
        ui=ui,
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
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        try:
            local_stack.up(request)
            settings = load_settings()
            _await_capture(settings)
            yield SpeedLayer(home, settings)
        finally:
            local_stack.down(home, lambda _: None)


def _await_capture(settings: Settings) -> None:
    """The guardian of capture, one of the workers, sets it up: topics, slot, connector."""
    deadline = time.monotonic() + 90
    connect = capture_of(settings).connect
    while not ((state := connect.state(CONNECTOR)) and state.runs):
        assert time.monotonic() < deadline, f"change capture does not run: {state}"
        time.sleep(0.3)
