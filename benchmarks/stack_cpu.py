"""Where a loaded machine's time goes: processor time of each program of a stack while a block lasts.

Belongs here: reading processor times by program. Does not: what is measured meanwhile (bench_stream.py).
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
from rich.table import Table

from payments_platform.local import statuses
from payments_platform.local.home import Home

LOAD = "load and readers"
"""This process: what makes the traffic and asks the stores."""


@dataclass
class Spent:
    """Processor seconds by program, in so many seconds of wall time; ``idle``: those that nothing used."""

    by_program: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    idle: float = 0.0

    def table(self, rows: float) -> Table:
        """Each program's share of one core, and microseconds for each of so many rows, most first."""
        table = Table("program", "of one core", "µs a row", title="where the processors' time went")
        for name, spent in sorted(self.by_program.items(), key=lambda item: -item[1]):
            table.add_row(name, f"{spent / self.seconds:.0%}", f"{spent / rows * 1e6:.1f}")
        table.add_row("idle", f"{self.idle / self.seconds:.0%}", "")
        return table


@contextmanager
def watching(home: Home) -> Iterator[Spent]:
    """Fill in what the block cost. A program that was restarted meanwhile is counted from its restart."""
    spent = Spent()
    before, idle, start = _now(home), psutil.cpu_times().idle, time.monotonic()
    try:
        yield spent
    finally:
        spent.seconds, spent.idle = time.monotonic() - start, psutil.cpu_times().idle - idle
        spent.by_program = {name: max(at - before.get(name, 0.0), 0.0) for name, at in _now(home).items()}


def _now(home: Home) -> Mapping[str, float]:
    roots = {service.name: service.pid for service in statuses.status(home) if service.pid}
    return {name: _tree(pid) for name, pid in roots.items()} | {LOAD: _of(psutil.Process(os.getpid()))}


def _tree(pid: int) -> float:
    """A server of processes counts those that ended, too."""
    try:
        root = psutil.Process(pid)
        times = root.cpu_times()
        ended = times.children_user + times.children_system
        return _of(root) + ended + sum(_of(child) for child in root.children(recursive=True))
    except psutil.NoSuchProcess:
        return 0.0


def _of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
