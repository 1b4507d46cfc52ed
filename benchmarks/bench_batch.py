"""One day of changed transactions through the daily job, on a stack of its own: phase times, rows a second, memory.

Run: make bench-batch ROWS=1000000. Prints the tables that the README quotes. The job runs as the schedule runs it, in
one process; memory is that of its whole process tree. ``--home`` keeps the filled source for the next measurement.
"""

import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import peer
from benchmarks.lake_bytes import bytes_table
from benchmarks.source_day import SourceDay, filled
from benchmarks.watched import Watched
from payments_platform.contracts.operations import PHASE_TIMES
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.local import stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.operations.phases import LIMITS
from payments_platform.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
_GIB = 1024**3


def main(
    rows: Annotated[int, typer.Option(help="Transactions created on the day.")] = 1_000_000,
    home: Annotated[
        Path | None, typer.Option(help="Folder of the stack: kept, and its day is measured again if it has one.")
    ] = None,
) -> None:
    """Simulate a day of ROWS payments in a stack of its own, then time the daily job for it."""
    console = Console(highlight=False)
    place = Home(home.absolute() if home else Path(tempfile.mkdtemp(prefix="payments-bench-")))
    settings = Settings(home=place.root)
    try:
        stack.up(Request(place, PROJECT, ui=False, any_ports=True))
        source = filled(place.root, PROJECT, rows)
        # An earlier measurement's day would be replaced in place, and its warehouse would grow by an increment.
        shutil.rmtree(settings.lake_root, ignore_errors=True)
        settings.warehouse_path.unlink(missing_ok=True)
        job = Watched([_payments(), "run-day", str(source.day)], environment(place.root), PROJECT)
        if job.exit_code:
            raise typer.Exit(job.exit_code)
        console.print(_table(settings, source, job))
        console.print(bytes_table(settings, source.day))
        problem = peer.missing(PROJECT)
        if problem is not None:
            console.print(problem)
            return
        if not _race(console, settings, source, job):
            raise typer.Exit(1)
    finally:
        stack.down(place, lambda _: None)
        if home is None:
            shutil.rmtree(place.root, ignore_errors=True)


def _race(console: Console, settings: Settings, source: SourceDay, job: Watched) -> bool:
    """Run the peer on the same rows and print both; whether the answers are the same."""
    theirs = peer.run(settings, PROJECT, source.day, settings.home / "peer")
    table = Table("", "payments platform", "PySpark local[*]", title="the same day, the same rows, the same machine")
    phases = ", ".join(f"{name} {seconds:.0f}" for name, seconds in theirs.seconds.items())
    table.add_row("seconds, whole process", f"{job.seconds:.1f}", f"{theirs.watched.seconds:.1f} ({phases})")
    table.add_row("peak memory", f"{job.peak / _GIB:.2f} GiB", f"{theirs.watched.peak / _GIB:.2f} GiB")
    table.add_row("ahead by", f"{theirs.watched.seconds / job.seconds:.2f} times", "")
    console.print(table)
    differences = peer.different(peer.our_answer(settings, source.day), theirs.answer)
    console.print("same answer" if not differences else "answers differ: " + "; ".join(differences), markup=False)
    shutil.rmtree(settings.home / "peer", ignore_errors=True)
    return not differences


def environment(home: Path) -> dict[str, str]:
    """What a command sees: this home, and nothing else of the caller's settings."""
    return {"PAYMENTS_HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}


def _payments() -> str:
    return str(Path(sys.executable).parent / "payments")


def _table(settings: Settings, source: SourceDay, job: Watched) -> Table:
    lake = Lake(LocalStorage(settings.lake_root))
    raw = lake.manifest(RAW_TRANSACTIONS, source.day)
    title = f"{source.rows:,} transactions, {raw.rows if raw else 0:,} versions on {source.day}"
    table = Table("phase", "busy seconds", "document P95", title=title)
    for phase, seconds, documented in _phases(lake, source.day):
        table.add_row(phase, f"{seconds:.1f}", f"{documented} s")
    table.add_section()
    table.add_row("whole process", f"{job.seconds:.1f}", f"{source.rows / job.seconds:,.0f} transactions/s")
    name, held = job.largest
    table.add_row("peak memory", f"{job.peak / _GIB:.2f} GiB", "process and children")
    table.add_row("largest process", f"{held / _GIB:.2f} GiB", name)
    if source.seconds is not None:
        table.add_row("simulator", f"{source.seconds:.1f}", f"{source.rows / source.seconds:,.0f} transactions/s")
    return table


def _phases(lake: Lake, day: date) -> list[tuple[str, float, int]]:
    """Each phase, its busy seconds, and what the requirements quote for it at the 95th percentile."""
    found = lake.scan(PHASE_TIMES, day, allow_pending=True).collect()
    return [(phase, seconds, LIMITS[phase].document_p95_seconds) for phase, seconds in found["phase", "seconds"].rows()]


if __name__ == "__main__":
    typer.run(main)
