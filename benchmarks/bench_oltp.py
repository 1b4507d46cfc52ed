"""Payments as the application makes them, at a steady rate, with the replica attached and change capture on.

Run: make bench-oltp. A stack of its own on this machine's disk, with fsync on and synchronous commits as by default;
its replica streams, and a reader takes every change of the publication from a logical slot while payments come in.
Requests fall due by the clock, whether or not the one before was answered (an open loop), so that a stall shows.
"""

import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Final, Self

import typer
from rich.console import Console
from rich.table import Table

from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.local import stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.oltp.traffic.drive import Report, Traffic, drive
from payments_platform.oltp.traffic.operations import PAYMENT
from payments_platform.settings import Settings

PROJECT: Final = Path(__file__).resolve().parents[1]
PUBLICATION: Final = "payments_changes"
SLOT: Final = "bench_oltp"
_LIMIT_MILLIS: Final = 50.0
_WARM_UP_SECONDS: Final = 5.0
_STEP_SECONDS: Final = 10.0
# Each step asks for half as much again as the one before.
_STEP: Final = 1.5
_POLL_SECONDS: Final = 0.05


class Capture:
    """Reads every change from a logical slot of its own, as change capture would, for as long as the block lasts."""

    def __init__(self, address: PostgresAddress) -> None:
        self._address, self._stop = address, threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.messages, self.bytes = 0, 0
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        with connect(self._address, autocommit=True) as session:
            session.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (SLOT,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with connect(self._address, autocommit=True) as session:
            session.execute("SELECT pg_drop_replication_slot(%s)", (SLOT,))

    def _read(self) -> None:
        changes = (
            "SELECT count(*), coalesce(sum(length(data)), 0) FROM pg_logical_slot_get_binary_changes("
            f"'{SLOT}', NULL, NULL, 'proto_version', '1', 'publication_names', '{PUBLICATION}')"
        )
        try:
            with connect(self._address, autocommit=True) as session:
                while not self._stop.wait(_POLL_SECONDS):
                    messages, size = session.execute(changes).fetchone() or (0, 0)
                    self.messages, self.bytes = self.messages + int(str(messages)), self.bytes + int(str(size))
        except Exception as error:  # noqa: BLE001 - told at the end; a capture that stopped makes every figure untrue
            self.failure = error


def main(
    tps: Annotated[float, typer.Option(help="Transactions a second that must hold.")] = 500.0,
    seconds: Annotated[float, typer.Option(help="How long they must hold.")] = 30.0,
) -> None:
    """Measure TPS for SECONDS, then raise the rate until the 95th percentile of payments misses 50 ms."""
    console = Console(highlight=False)
    home = Home(Path(tempfile.mkdtemp(prefix="payments-bench-oltp-")))
    settings = Settings(home=home.root)
    try:
        stack.up(Request(home, PROJECT, ui=False, any_ports=True))
        facts = _attached(settings)
        with Capture(settings.postgres("primary", "capture")) as capture:
            _drive(settings, tps, _WARM_UP_SECONDS)
            reports = [_drive(settings, tps, seconds)]
            while _holds(reports[-1]):
                reports.append(_drive(settings, reports[-1].asked_tps * _STEP, _STEP_SECONDS))
        if capture.failure is not None:
            raise capture.failure
        console.print(_table(reports))
        console.print(f"{facts}; capture read {capture.messages:,} messages, {capture.bytes / 1e6:,.0f} MB")
        if not _holds(reports[0]):
            raise typer.Exit(1)
    finally:
        stack.down(home, lambda _: None)
        shutil.rmtree(home.root, ignore_errors=True)


def _drive(settings: Settings, tps: float, seconds: float) -> Report:
    app, loader = settings.postgres("primary", "app"), settings.postgres("primary", "loader")
    traffic = Traffic(app, loader, settings.token_key(), seed=int(time.time()), tps=tps)
    return drive(traffic, seconds, threading.Event(), lambda _: None)


def _holds(report: Report) -> bool:
    return report.kept_up and report.response.percentiles(PAYMENT).p95 < _LIMIT_MILLIS


def _attached(settings: Settings) -> str:
    """What the server says is on, so that the figures name it. Raises when the replica does not stream."""
    with connect(settings.postgres("primary", "extract"), autocommit=True) as session:
        names = ("wal_level", "fsync", "synchronous_commit")
        shown = [f"{name} {(session.execute(f'SHOW {name}').fetchone() or ('?',))[0]}" for name in names]
        row = session.execute("SELECT state, sync_state FROM pg_stat_replication WHERE application_name = 'replica'")
        replica = row.fetchone()
    if replica is None or replica[0] != "streaming":
        raise RuntimeError(f"the replica does not stream: {replica}")
    return ", ".join([*shown, f"replica {replica[0]} ({replica[1]})", "logical slot (pgoutput) with a reader"])


def _table(reports: list[Report]) -> Table:
    title = "payments, milliseconds from the moment they were due to the acknowledged commit"
    table = Table(
        "asked/s", "reached/s", "payments", "P50", "P95", "P99", "longest", "commit P95", "holds", title=title
    )
    for report in reports:
        due, commit = report.response.percentiles(PAYMENT), report.commit.percentiles(PAYMENT)
        times = [f"{value:.1f}" for value in (due.p50, due.p95, due.p99, due.longest, commit.p95)]
        holds = "yes" if _holds(report) else "no"
        table.add_row(f"{report.asked_tps:,.0f}", f"{report.tps:,.0f}", f"{due.count:,}", *times, holds)
    return table


if __name__ == "__main__":
    typer.run(main)
