"""A copy of rows about payments in files sorted by payment, so that a range of ids is asked without reading the rest.

Belongs here: copying, asking. Does not: where the rows come from (owed.py).
"""

from pathlib import Path
from typing import Final

import polars as pl

from payments_platform.streaming.sinks.protocol import Span, Wanted

_ID: Final = "transaction_id"
# A file is sorted in memory; of a file, a range of ids reads the groups of rows that its ids lie in.
FILE_ROWS: Final = 200_000
_GROUP_ROWS: Final = 4_096


class SortedCopy:
    """Rows of one schema, which has ``transaction_id``, in a folder of its own.

    In memory are at most ``FILE_ROWS`` rows and what is added at once; the disk holds them all.
    """

    def __init__(self, folder: Path, schema: pl.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._files: list[Path] = []
        self._waiting: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Copy rows."""
        self._waiting.append(rows)
        if sum(frame.height for frame in self._waiting) >= FILE_ROWS:
            self._write()

    def scan(self) -> pl.LazyFrame:
        """All rows; those that wait are written first."""
        self._write()
        return pl.scan_parquet(self._files) if self._files else pl.LazyFrame(schema=self._schema)

    def rows(self, wanted: Wanted) -> pl.DataFrame:
        """The rows about payments, in no order."""
        asked = wanted.holds() if isinstance(wanted, Span) else _is_one_of(sorted(wanted))
        return self.scan().filter(asked).collect(engine="streaming")

    def clear(self) -> None:
        """Forget every row."""
        self._waiting.clear()
        while self._files:
            self._files.pop().unlink()

    def _write(self) -> None:
        waiting = pl.concat([pl.DataFrame(schema=self._schema), *self._waiting])
        self._waiting.clear()
        if waiting.is_empty():
            return
        path = self._folder / f"{len(self._files):06}.parquet"
        waiting.sort(_ID).write_parquet(path, compression="snappy", row_group_size=_GROUP_ROWS)
        self._files.append(path)


def _is_one_of(ids: list[str]) -> pl.Expr:
    """True for these ids. The bounds let whole groups of rows be left out."""
    if not ids:
        return pl.lit(value=False)
    return pl.col(_ID).is_between(pl.lit(ids[0]), pl.lit(ids[-1])) & pl.col(_ID).is_in(ids)
