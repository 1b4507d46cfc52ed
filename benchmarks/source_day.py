"""A day of invented payments in a stack's source, made once and measured as often as asked.

Belongs here: filling the source and remembering with what. Does not: what a payment looks like (oltp/simulator).
"""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from payments_platform.oltp.simulator.seasons import payments_on

_NOTE: Final = "bench-day.json"
# A simulated company's day is made up in memory as a whole, so that a large day is several companies' together.
_PART_ROWS: Final = 2_500_000
# Two sessions keep two cores busy.
_AT_ONCE: Final = 2
_FIRST_SEED: Final = 41


@dataclass(frozen=True)
class SourceDay:
    """The day, its transactions, and the seconds that filling took (None: it was there already)."""

    day: date
    rows: int
    seconds: float | None


def filled(home: Path, project: Path, rows: int) -> SourceDay:
    """The day with ``rows`` transactions in the running stack of ``home``. Raises ValueError when it has another."""
    note = home / _NOTE
    if note.exists():
        known = json.loads(note.read_text())
        if known["rows"] != rows:
            raise ValueError(f"{home} has a day of {known['rows']:,} transactions, not {rows:,}: name another --home")
        return SourceDay(date.fromisoformat(known["day"]), rows, None)
    day = datetime.now(UTC).date() - timedelta(days=1)
    started = time.monotonic()
    parts = -(-rows // _PART_ROWS)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda part: _simulate(home, project, day, part, rows // parts), range(parts)))
    seconds = time.monotonic() - started
    note.write_text(json.dumps({"day": str(day), "rows": rows}))
    return SourceDay(day, rows, seconds)


def _simulate(home: Path, project: Path, day: date, part: int, rows: int) -> None:
    # The simulator's --per-day is the mean of a week; this many make the day have its rows.
    per_day = rows * rows // payments_on(day, rows) + 1
    payments = str(Path(sys.executable).parent / "payments")
    words = ["--days", "1", "--per-day", str(per_day), "--until", str(day), "--seed", str(_FIRST_SEED + part)]
    # Disputes come days after their payments: on the first day, the planted bad ones would be nearly all there are, and
    # the day would rightly fail.
    words += ["--defects", "0"]
    subprocess.run([payments, "simulate", *words], env={"PAYMENTS_HOME": str(home)}, cwd=project, check=True)
