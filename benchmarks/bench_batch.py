"""One day of changed transactions through the daily job, on a stack of its own: phase times, rows a second, memory.

Run: make bench-batch ROWS=1000000. Prints the table that the README quotes. The job runs as the schedule runs it, in
one process; its peak memory is the largest sum of its own and its children's resident sizes, seen four times a second.
"""

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from payments_platform.contracts.operations import PHASE_TIMES
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.local import stack
from payments_platform.local.home import Home
from payments_platform.oltp.simulator.seasons import payments_on
from payments_platform.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
_GIB = 1024**3
_SAMPLE_SECONDS = 0.25


class Watched:
    """Runs a command and remembers its wall time and the peak memory of its process tree."""

    def __init__(self, *command: str, home: Path) -> None:
        started = time.monotonic()
        payments = str(Path(sys.executable).parent / "payments")
        environment = {"PAYMENTS_HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        self.peak = 0
        with subprocess.Popen([payments, *command], env=environment, cwd=PROJECT) as process:
            watcher = threading.Thread(target=self._watch, args=(process,), daemon=True)
            watcher.start()
            self.exit_code = process.wait()
            watcher.join()
        self.seconds = time.monotonic() - started

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        while process.poll() is None:
            try:
                tree = psutil.Process(process.pid)
                members = [tree, *tree.children(recursive=True)]
                self.peak = max(self.peak, sum(member.memory_info().rss for member in members))
            except psutil.NoSuchProcess:
                pass
            time.sleep(_SAMPLE_SECONDS)


def main(
    rows: Annotated[int, typer.Option(help="Transactions created on the day.")] = 1_000_000,
    keep: Annotated[bool, typer.Option(help="Leave the stack's home in place and print where.")] = False,
) -> None:
    """Simulate a day of ROWS payments in a stack of its own, then time the daily job for it."""
    console = Console(highlight=False)
    home = Home(Path(tempfile.mkdtemp(prefix="payments-bench-")))
    settings = Settings(home=home.root)
    day = datetime.now(UTC).date() - timedelta(days=1)
    try:
        stack.up(stack.Request(home, PROJECT, ui=False, any_ports=True))
        # The simulator's --per-day is the mean of a week; this many make the day have ROWS.
        per_day = rows * rows // payments_on(day, rows) + 1
        written = Watched("simulate", "--days", "1", "--per-day", str(per_day), "--until", str(day), home=home.root)
        job = Watched("run-day", str(day), home=home.root)
        console.print(_table(settings, day.isoformat(), written, job, rows))
        if job.exit_code:
            raise typer.Exit(job.exit_code)
    finally:
        stack.down(home, lambda _: None)
        if keep:
            console.print(f"kept: {home.root}")
        else:
            shutil.rmtree(home.root, ignore_errors=True)


def _table(settings: Settings, day: str, written: Watched, job: Watched, rows: int) -> Table:
    lake = Lake(LocalStorage(settings.lake_root))
    partition = date.fromisoformat(day)
    found = lake.scan(PHASE_TIMES, partition, allow_pending=True).collect()
    raw = lake.manifest(RAW_TRANSACTIONS, partition)
    versions = raw.rows if raw else 0
    table = Table(
        "phase", "busy seconds", "document target", title=f"{rows:,} transactions, {versions:,} versions on {day}"
    )
    for row in found.iter_rows(named=True):
        table.add_row(row["phase"], f"{row['seconds']:.1f}", f"{row['target_seconds']} s")
    table.add_section()
    table.add_row("whole process", f"{job.seconds:.1f}", f"{rows / job.seconds:,.0f} transactions/s")
    table.add_row("peak memory", f"{job.peak / _GIB:.2f} GiB", "process and children")
    table.add_row("simulator", f"{written.seconds:.1f}", f"{rows / written.seconds:,.0f} transactions/s")
    return table


if __name__ == "__main__":
    typer.run(main)
