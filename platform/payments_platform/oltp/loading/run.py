"""Load one file of transactions: read, judge, write, and report.

Belongs here: the order of the steps and the file of rejected rows. Does not: the steps (modules beside this one).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from payments_platform.clients.postgres import PostgresAddress
from payments_platform.oltp.loading import reading
from payments_platform.oltp.loading.disputing import Frauds
from payments_platform.oltp.loading.judging import judge
from payments_platform.oltp.loading.writing import NOTHING, Load, write
from payments_platform.settings import TokenKey


@dataclass(frozen=True)
class Report:
    """What became of each row of the file: ``rows == inserted + skipped + rejected``."""

    rows: int
    inserted: int
    skipped: int
    rejected: int
    customers: int
    merchants: int
    disputes: int
    disputes_to_come: int
    first_day: date | None
    last_day: date | None
    ignored_columns: tuple[str, ...]
    rejects: Path | None


@dataclass(frozen=True)
class Source:
    """Where to load to, and what the file cannot say.

    That is the present moment, the country of merchants without one, and how long after a fraud its dispute opens.
    """

    address: PostgresAddress
    key: TokenKey
    now: datetime
    country_code: str
    rejects_folder: Path
    dispute_delay: timedelta = timedelta(days=7)


def load(path: Path, source: Source, progress: Callable[[int, int], None]) -> Report:
    """Load the good rows of a file in one transaction and write the others, with line and reason, to a file.

    Safe to repeat. Raises LoadRefused when the file as a whole is unusable, and psycopg errors; both leave nothing
    behind.
    """
    rows, ignored = reading.read(path)
    digest = reading.digest(path)
    judged = judge(rows, source.now)
    total = judged.good.height
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    progress(0, total)
    target = Load(source.address, source.key, f"load-{digest}", source.country_code, advance)
    frauds = Frauds(judged.frauds, source.dispute_delay, source.now)
    written = write(judged.good, frauds, target) if total else NOTHING
    refused = written.refused.join(rows, on="line")
    rejected = pl.concat([judged.rejected, refused.select(judged.rejected.columns)]).sort("line")
    return Report(
        rows.height,
        written.inserted,
        written.skipped,
        rejected.height,
        written.customers,
        written.merchants,
        written.disputes,
        written.disputes_to_come,
        written.first_day,
        written.last_day,
        ignored,
        _keep(rejected, source.rejects_folder, f"{path.name.split('.')[0]}-{digest}-rejected.csv"),
    )


def _keep(rejected: pl.DataFrame, folder: Path, name: str) -> Path | None:
    """Write the rejected rows where only their owner reads them: they name customers."""
    path = folder / name
    path.unlink(missing_ok=True)
    if rejected.is_empty():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        rejected.write_csv(file)
    return path
