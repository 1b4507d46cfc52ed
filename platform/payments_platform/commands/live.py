"""`payments simulate --live`: live traffic with a line of progress, stopped by time, Ctrl-C or SIGTERM.

Belongs here: signals, progress, the table at the end. Does not: the traffic (oltp/traffic/).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

if TYPE_CHECKING:
    from payments_platform.oltp.traffic.drive import Progress, Report

_err = Console(stderr=True, highlight=False)
_out = Console(highlight=False)


def show_live(seed: int, tps: float, seconds: float | None) -> None:
    """Drive traffic and show it. Ends with code 1 when the source could not keep up with the rate asked for."""
    from payments_platform.oltp.traffic.drive import Traffic, drive
    from payments_platform.settings import load_settings

    settings = load_settings()
    traffic = Traffic(
        settings.postgres("primary", "app"), settings.postgres("primary", "loader"), settings.token_key(), seed, tps
    )
    with stopped_by_signals() as stop, _err.status("opening sessions") as status:
        report = drive(traffic, seconds, stop, lambda progress: _tell(status, progress))
    _show(report)
    if not report.kept_up:
        _err.print(
            f"Could not keep up with {report.asked_tps:g} transactions/s: {report.behind:.1f} s late at the end."
            " Ask for a lower --tps.",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that each open transaction is finished and the report printed."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(status: Status, progress: "Progress") -> None:
    rate = progress.done / progress.seconds if progress.seconds else 0.0
    late = f", {progress.behind:.1f} s late" if progress.behind >= 1.0 else ""
    status.update(f"{progress.done:,} transactions in {progress.seconds:.0f} s, {rate:,.0f} a second{late}")


def _show(report: "Report") -> None:
    """One row per kind of transaction, and one for all: commit latency, then the time since it was due."""
    table = Table("transaction", "count", *(f"commit {name} ms" for name in ("P50", "P95", "P99")), "from due P95 ms")
    for kind in (*report.commit.counts, None):
        kinds = () if kind is None else (kind,)
        commit, response = report.commit.percentiles(*kinds), report.response.percentiles(*kinds)
        figures = (commit.p50, commit.p95, commit.p99, response.p95)
        table.add_row(kind or "all", f"{commit.count:,}", *(f"{figure:.1f}" for figure in figures))
    _out.print(table)
    _out.print(
        f"{report.transactions:,} transactions in {report.seconds:.1f} s: {report.tps:,.1f} a second"
        f" of {report.asked_tps:g} asked for."
    )
