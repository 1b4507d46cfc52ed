"""What the processor knows of customers and merchants: the latest row of each key, in memory.

Belongs here: applying changes, looking rows up. Does not: where changes come from (dimension_feed.py), joining
(enrich.py).
"""

from typing import Final

import polars as pl

from payments_platform.batch.position import ORDER
from payments_platform.contracts.dataset import Column
from payments_platform.streaming.envelope import Shape

_VERSIONS: Final = 2**31
_MOST_CHUNKS: Final = 16


class Dimension:
    """The latest row of each key, by position: applied in any order and any number of times, changes give the same.

    A dictionary finds the place of a key and a gather fetches the columns: a join would hash all rows for each batch.
    """

    def __init__(self, shape: Shape, columns: tuple[Column, ...], prefix: str) -> None:
        """``columns`` are the event's; without ``prefix`` they are named as in the shape."""
        self.shape, self._prefix = shape, prefix
        self._names = {column.name.removeprefix(prefix): column.name for column in columns}
        self._rows = pl.DataFrame(schema={column.name: column.dtype for column in columns})
        self._places: dict[str, int] = {}
        self._positions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def apply(self, changes: pl.DataFrame) -> set[str]:
        """Take decoded changes; return the keys that are known now and were not."""
        order = pl.col("epoch").cast(pl.Int64) * _VERSIONS + pl.col("version")
        columns = [pl.col(old).alias(new) for old, new in self._names.items()]
        ordered = changes.select(self.shape.key, "is_deleted", order.alias(ORDER), *columns).sort(ORDER)
        latest = ordered.unique(self.shape.key, keep="last", maintain_order=True)
        came: set[str] = set()
        taken: list[int] = []
        for row, (key, is_deleted, position) in enumerate(
            zip(latest[self.shape.key], latest["is_deleted"], latest[ORDER], strict=True)
        ):
            if position < self._positions.get(key, 0):
                continue
            self._positions[key] = position
            if is_deleted:
                self._places.pop(key, None)
                continue
            if key not in self._places:
                came.add(key)
            self._places[key] = self._rows.height + len(taken)
            taken.append(row)
        self._append(latest[taken].select(self._rows.columns))
        return came

    def look_up(self, keys: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
        """A row of the event's columns for each key, null where it is not known, and whether it is."""
        places = pl.Series("place", list(map(self._places.get, keys.to_list())), dtype=pl.UInt32)
        return self._rows.select(pl.all().gather(places)), places.is_not_null()

    def _append(self, rows: pl.DataFrame) -> None:
        self._rows.vstack(rows, in_place=True)
        if self._rows.height > 2 * len(self._places) + 1000:
            kept = list(self._places.items())
            self._rows = self._rows[[place for _, place in kept]]
            self._places = {key: place for place, (key, _) in enumerate(kept)}
        elif self._rows.n_chunks() > _MOST_CHUNKS:
            self._rows = self._rows.rechunk()
