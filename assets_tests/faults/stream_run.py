"""A run of kills over the speed layer: traffic that outlives its database, kill -9, waiting until all is back.

Belongs here: doing it, and a record of what was done. Does not: the plan (stream_plan.py), the judgement
(stream_checker.py).
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import polars as pl
import psutil
import psycopg

from assets_tests.faults.stream_plan import Kill
from payments_platform.local import sites, statuses
from payments_platform.local.home import Home
from payments_platform.oltp.traffic.drive import Progress, Traffic, drive
from payments_platform.settings import Settings

PAYMENTS: Final = str(Path(sys.executable).parent / "payments")
# Elasticsearch took 153 s to serve again on a machine three times slower than usual, under 320 payments a second.
_BACK_SECONDS: Final = 400.0
_BULK_SECONDS: Final = 900.0
_FILE_ROWS: Final = 60_000


@dataclass(frozen=True)
class Killed:
    """A kill that was done, and after how many seconds all that serves served again (None: the next one came first)."""

    kill: Kill
    seconds: float | None


class Pressure:
    """Live payments that go on after the database was killed under them."""

    def __init__(self, settings: Settings, tps: float, seed: int) -> None:
        self._settings, self._tps, self._seed = settings, tps, seed
        self._over = threading.Event()
        self._driving = threading.Event()
        self._thread = threading.Thread(target=self._press, daemon=True)
        self._done = self._current = 0
        self._seconds = self._lasting = 0.0
        self.interruptions = 0
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._driving.set()
        self._thread.join(60)
        if self._failure is not None:
            raise self._failure

    @property
    def transactions(self) -> int:
        """Transactions that were acknowledged."""
        return self._done + self._current

    @property
    def rate(self) -> float:
        """Acknowledged transactions a second while the database served."""
        seconds = self._seconds + self._lasting
        return self.transactions / seconds if seconds else 0.0

    def _press(self) -> None:
        primary = self._settings.postgres
        while not self._over.is_set():
            app, loader = primary("primary", "app"), primary("primary", "loader")
            traffic = Traffic(app, loader, self._settings.token_key(), self._seed, self._tps)
            # A run that fails sets its event, so that its sessions end.
            self._driving = threading.Event()
            try:
                drive(traffic, None, self._driving, self._note)
            except psycopg.OperationalError:
                self.interruptions += 1
                time.sleep(0.3)
            except BaseException as failure:  # noqa: BLE001 - told by the thread that waits
                self._failure = failure
                return
            self._done, self._seconds = self._done + self._current, self._seconds + self._lasting
            self._current, self._lasting = 0, 0.0

    def _note(self, progress: Progress) -> None:
        self._current, self._lasting = progress.done, progress.seconds


@dataclass
class Bulk:
    """`payments load` or `payments simulate`, again until it has worked, each time with data of its own."""

    environment: Mapping[str, str]
    folder: Path
    done: int = 0
    failed: int = 0
    _number: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, load: str) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(load,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until the command that is under way has worked."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_BULK_SECONDS)
            assert not self._thread.is_alive(), "a bulk command did not end"
            self._thread = None

    def _work(self, load: str) -> None:
        while not self._over.is_set():
            self._number += 1
            arguments = self._file() if load == "load" else self._days()
            while subprocess.run(
                [PAYMENTS, *arguments], env=dict(self.environment), capture_output=True, check=False
            ).returncode:  # fmt: skip
                self.failed += 1
                time.sleep(0.5)
            self.done += 1

    def _days(self) -> list[str]:
        return ["simulate", "--days", "3", "--per-day", "8000", "--seed", str(self._number), "--defects", "0"]

    def _file(self) -> list[str]:
        path = self.folder / f"payments_{self._number}.parquet"
        now, number = datetime.now(UTC) - timedelta(days=3), pl.int_range(_FILE_ROWS, eager=True).alias("number")
        rows = number.to_frame().select(
            pl.format(f"txn_file_{self._number}_{{}}", "number").alias("transaction_id"),
            (pl.lit(now) + pl.duration(seconds=pl.col("number"))).alias("created_at"),
            pl.format("cus_file_{}", pl.col("number") % 500).alias("customer_id"),
            pl.format("mer_file_{}", pl.col("number") % 50).alias("merchant_id"),
            pl.lit("EUR").alias("currency"),
            (pl.col("number") + 100).alias("amount_minor"),
        )
        rows.write_parquet(path)
        return ["load", str(path)]


def kill_nine(pid: int) -> None:
    """SIGKILL to a process and to all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def all_back(home: Home, before: Mapping[str, int]) -> list[str]:
    """Wait until every service serves, each of ``before`` under another number; return those that do not."""
    deadline = time.monotonic() + _BACK_SECONDS
    while True:
        late = [it.name for it in statuses.status(home) if not it.ready or it.pid == before.get(it.name)]
        if not late or time.monotonic() > deadline:
            return late
        time.sleep(0.3)


def carry_out(home: Home, kills: list[Kill], bulk: Bulk, say: Callable[[str], None]) -> list[Killed]:
    """Do every kill of a plan. Raises AssertionError when something does not come back by itself."""
    killed: list[Killed] = []
    before: dict[str, int] = {}
    load = "traffic"
    since = time.monotonic()
    for number, kill in enumerate(kills):
        if kill.load != load:
            bulk.finish()
            load = kill.load
            if load != "traffic":
                bulk.start(load)
        say(str(kill))
        time.sleep(kill.after)
        pid = _pid(home, kill.target)
        kill_nine(pid)
        since, before[kill.target] = time.monotonic(), pid
        overlapped = number + 1 < len(kills) and kills[number + 1].overlaps
        if not overlapped:
            late = all_back(home, before)
            assert not late, f"not back {_BACK_SECONDS:.0f} s after {kill}: {', '.join(late)}"
            before.clear()
        killed.append(Killed(kill, None if overlapped else time.monotonic() - since))
    bulk.finish()
    return killed


def _pid(home: Home, name: str) -> int:
    """The number of a service's process, waiting while it is being restarted."""
    site = sites.known_site(home)
    assert site is not None
    supervisor = sites.supervisor_of(site)
    deadline = time.monotonic() + _BACK_SECONDS
    while time.monotonic() < deadline:
        state = supervisor.states().get(name)
        if state is not None and state.pid and state.runs:
            return state.pid
        time.sleep(0.1)
    raise AssertionError(f"{name} does not run: {state}")


def environment(home: Home, downloads: Path) -> dict[str, str]:
    """What leads a command to the stack of the run."""
    return {
        **os.environ,
        "PAYMENTS_HOME": str(home.root),
        "PAYMENTS_ENVIRONMENT": "test",
        "PAYMENTS_DOWNLOADS": str(downloads),
    }
