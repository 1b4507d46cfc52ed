"""How fast simulated payments reach PostgreSQL with all triggers on: rows and versions a second, part by part.

Run against a running stack: ``python benchmarks/bench_oltp_simulate.py [DAYS] [PER_DAY]``. Each run writes a world of
its own (a new seed), so it never measures rows that are there already; it stays in the source until payments reset.
"""

import os
import secrets
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from payments_platform.oltp.simulator.run import Target, Written, simulate
from payments_platform.oltp.simulator.world import World
from payments_platform.settings import load_settings

_DAYS, _PER_DAY = 7, 50_000


def measure(days: int, per_day: int) -> tuple[Written, float]:
    """Simulate days that end yesterday; return what was written and the seconds it took."""
    settings = load_settings()
    until = datetime.now(UTC).date() - timedelta(days=1)
    world = World(secrets.randbelow(10**9), per_day, 0.002)
    with tempfile.TemporaryDirectory() as folder:
        address, key = settings.postgres("primary", "loader"), settings.token_key()
        target = Target(address, key, until, lambda _done, _total: None, Path(folder))
        started = time.perf_counter()
        written = simulate(world, until - timedelta(days=days - 1), target)
        return written, time.perf_counter() - started


def main() -> None:
    """Print one table."""
    sizes = [int(text) for text in sys.argv[1:3]]
    days, per_day = (*sizes, _DAYS, _PER_DAY)[0], (*sizes, *(_DAYS, _PER_DAY)[len(sizes) :])[1]
    busy = os.getloadavg()[0]
    written, seconds = measure(days, per_day)
    table = Table("days", "transactions", "versions", "seconds", "transactions/s", "versions/s", "cores", "load before")
    table.add_row(
        f"{days}",
        f"{written.transactions:,}",
        f"{written.versions:,}",
        f"{seconds:.1f}",
        f"{written.transactions / seconds:,.0f}",
        f"{written.versions / seconds:,.0f}",
        f"{os.cpu_count()}",
        f"{busy:.1f}",
    )
    Console().print(table)


if __name__ == "__main__":
    main()
