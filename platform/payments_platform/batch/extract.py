"""Extraction: whole days of the source's history, out of one snapshot of the replica, as bounded Arrow frames.

Belongs here: totals by day, reading in parallel ranges, digests of what passed. Does not: whether a table is readable
(source.py), the cut (cut.py), writing (lake/).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from payments_platform.batch.cut import Cut, Patience, cut
from payments_platform.batch.masking import mask_frame
from payments_platform.batch.personal import personal_rows
from payments_platform.batch.ranges import Chunk, ReadAhead
from payments_platform.batch.source import (
    EPOCH,
    SourceConnections,
    is_history,
    problem_with,
    refuse_unreadable,
    relation,
    select_list,
)
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.reference import RATE_SERIES_DAYS

__all__ = ["Extraction", "SourceConnections", "Totals", "extract_days", "in_memory_extraction", "problem_with"]

FRAME_ROWS: Final = 250_000
# Opening an Arrow session costs as much as reading so many rows (the driver reads the catalogue of types first).
SESSION_ROWS: Final = 100_000
# Names of the counts that an extraction leaves in the manifest; sums are followed by the currency.
SOURCE_ROWS: Final = "source_rows"
SOURCE_SUM: Final = "source_minor:"
SOURCE_EPOCH: Final = "source_epoch"
MASKED: Final = "masked_values"
RULE: Final = "rule:"
_DIGEST_SPACE: Final = 2**64


@dataclass(frozen=True)
class Totals:
    """What the database itself counts in the snapshot: rows, and minor units by currency ("" when null)."""

    rows: int
    sums: dict[str, int]


@dataclass
class Extraction:
    """One day: its totals, and its frames (once). The digests and the count of masked values grow as frames pass."""

    dataset: Dataset
    day: date
    totals: Totals
    epoch: int = 1
    frames: Iterator[pl.DataFrame] = field(default_factory=lambda: iter(()))
    _digests: Counter[str] = field(default_factory=Counter)
    _masked: int = 0
    _personal: Counter[str] = field(default_factory=Counter)

    def source_digests(self) -> dict[str, str]:
        """Digest of the rows of each bulk load ("" is the application), of the frames read so far.

        The epoch is left out: a restored source gives the same rows a new one. Empty for a dated series, of which
        a later extraction may rightly have more.
        """
        if not is_history(self.dataset):
            return {}
        return {load: f"{digest % _DIGEST_SPACE:016x}" for load, digest in sorted(self._digests.items())}

    def counts(self) -> dict[str, int]:
        """Totals at the source, values in which a card number was masked, rows with other personal data in text."""
        sums = {f"{SOURCE_SUM}{currency}": total for currency, total in self.totals.sums.items()}
        return {SOURCE_EPOCH: self.epoch, SOURCE_ROWS: self.totals.rows, MASKED: self._masked, **sums} | {
            f"{RULE}{rule}": rows for rule, rows in self._personal.items()
        }

    def passing(self, parts: Iterable["Part"]) -> Iterator[pl.DataFrame]:
        """Hand on the rows of each part, noting its digests."""
        for part in parts:
            self._digests.update(part.digests)
            self._masked += part.masked
            self._personal.update(part.personal)
            yield part.frame


@dataclass(frozen=True)
class Part:
    """A frame that was read, masked and digested in a worker."""

    frame: pl.DataFrame
    digests: dict[str, int]
    masked: int
    personal: dict[str, int] = field(default_factory=dict)


def extract_days(
    source: SourceConnections,
    dataset: Dataset,
    days: Sequence[date],
    *,
    epoch: int,
    workers: int = 2,
    patience: Patience | None = None,
) -> Iterator[tuple[date, Extraction]]:
    """Yield each day with its extraction, all days out of one snapshot.

    Frames have the contract's columns and types, about FRAME_ROWS rows each, card numbers masked; a few are read
    ahead by ``workers`` sessions that share the snapshot, so memory stays bounded however large a day is. The frames
    of a day must be taken before the next day is asked for. Raises HiddenRows, SourceSchemaMismatch, DayNotOver,
    CutTimeout before the first row.
    """
    if not days:
        return
    with cut(source, max(days), patience) as held:
        refuse_unreadable(held.connection, dataset)
        planned = {day: _plan(held.connection, dataset, day) for day in days}
        chunks = [chunk for day in days for chunk in planned[day][1]]
        worth = 1 + sum(totals.rows for totals, _ in planned.values()) // SESSION_ROWS
        with ReadAhead(chunks, lambda: _reading(source, held, dataset, epoch), min(workers, worth)) as ahead:
            for day in days:
                totals, of_day = planned[day]
                extraction = Extraction(dataset, day, totals, epoch)
                extraction.frames = extraction.passing(ahead.take(chunk) for chunk in of_day)
                yield day, extraction


def in_memory_extraction(dataset: Dataset, frame: pl.DataFrame, day: date = date(2025, 1, 1)) -> Extraction:
    """An extraction of given rows, for tests and for sources that are no database."""
    sums: dict[str, int] = {}
    if dataset.sums:
        amount, currency = dataset.sums
        total = pl.col(amount).cast(pl.Int128).sum()
        sums = dict(frame.group_by(pl.col(currency).fill_null("")).agg(total).iter_rows())
    extraction = Extraction(dataset, day, Totals(frame.height, sums))
    extraction.frames = extraction.passing(finished(each, dataset) for each in [frame])
    return extraction


def finished(frame: pl.DataFrame, dataset: Dataset) -> Part:
    """Digest, mask and scan a frame that has the contract's schema.

    The digest is of the rows as the source has them: a better mask must not look like a changed source.
    """
    digests = _digests_by_load(frame, dataset) if is_history(dataset) else {}
    masked, count = mask_frame(frame, dataset)
    personal = {rule: len(rows) for rule, rows in personal_rows(masked, dataset).items()}
    return Part(masked, digests, count, personal)


def _digests_by_load(frame: pl.DataFrame, dataset: Dataset) -> dict[str, int]:
    columns = [name for name in dataset.names if name != EPOCH]
    plan = frame.lazy().select(pl.col("load_id").fill_null(""), pl.struct(*columns).hash(seed=0).alias("digest"))
    return dict(plan.group_by("load_id").agg(pl.col("digest").sum()).collect(engine="streaming").iter_rows())


def day_condition(dataset: Dataset, day: date) -> str:
    """Which rows belong to a day; literals, because Arrow reading goes through COPY, which takes no parameters."""
    if is_history(dataset):
        return f"updated_at >= '{day} 00:00:00+00' AND updated_at < '{day + timedelta(days=1)} 00:00:00+00'"
    return f"rate_date > '{day - timedelta(days=RATE_SERIES_DAYS)}' AND rate_date <= '{day}'"


def _plan(connection: Any, dataset: Dataset, day: date) -> tuple[Totals, list[Chunk]]:  # noqa: ANN401 - RowConnection
    """Count a day in the snapshot, and cut it into ranges of blocks that have about FRAME_ROWS rows each."""
    amount, currency = dataset.sums or ("0", "''::text")
    rows = connection.execute(
        f"SELECT coalesce({currency}, ''), count(*), coalesce(sum({amount}), 0), pg_relation_size(tableoid) / 8192"
        f" FROM {relation(dataset)} WHERE {day_condition(dataset, day)} GROUP BY tableoid, 1"
    ).fetchall()
    sums: Counter[str] = Counter()
    for code, _, total, _ in rows:
        sums[code] += int(total)
    count, blocks = sum(row[1] for row in rows), max((row[3] for row in rows), default=0)
    totals = Totals(count, dict(sorted(sums.items())) if dataset.sums else {})
    parts = -(-count // FRAME_ROWS)
    step = -(-blocks // parts) if parts else 0
    bounds = [(part * step, None if part == parts - 1 else (part + 1) * step) for part in range(parts)]
    return totals, [Chunk(day_condition(dataset, day), first, end) for first, end in bounds]


@contextmanager
def _reading(source: SourceConnections, held: Cut, dataset: Dataset, epoch: int) -> Iterator[Callable[[Chunk], Part]]:
    """A session in the shared snapshot, as a function that reads one range of blocks."""
    connection = source.replica_arrow()
    try:
        cursor = connection.cursor()
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET TRANSACTION SNAPSHOT '{held.snapshot}'")
        columns = select_list(dataset, epoch)

        def read(chunk: Chunk) -> Part:
            cursor.execute(f"SELECT {columns} FROM {relation(dataset)} WHERE {chunk.condition}{chunk.blocks}")
            return finished(as_contract(cursor.fetch_arrow_table(), dataset), dataset)

        yield read
    finally:
        connection.close()


def as_contract(table: Any, dataset: Dataset) -> pl.DataFrame:  # noqa: ANN401 - an Arrow table
    """Arrow rows in the contract's types. A decimal that is no number (NaN) becomes null."""
    frame = pl.DataFrame(table)
    casts = [
        pl.col(name).cast(dtype, strict=not isinstance(dtype, pl.Decimal))
        for name, dtype in dataset.schema.items()
        if frame.schema[name] != dtype
    ]
    return frame.with_columns(casts).select(dataset.names)
