"""Putting frames into data files of unique names; nothing of it counts before a manifest names them.

Belongs here: lazy plans sunk together by the streaming engine, frames written as they come. Does not: the commit.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import Final
from uuid import uuid4

import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.lake.frames import conforming
from payments_platform.lake.paths import folder
from payments_platform.lake.storage import Storage

Frames = pl.LazyFrame | pl.DataFrame | Iterable[pl.DataFrame]

ROW_GROUP_ROWS: Final = 131_072
# Frames that arrive one by one are gathered to files of at least so many rows: few files, bounded memory.
FILE_ROWS: Final = 250_000


class DayFiles:
    """The files being written for one day, by dataset name."""

    def __init__(self, storage: Storage, day: date) -> None:
        self.storage, self.day = storage, day
        self.paths: dict[str, list[str]] = {}

    def write(self, outputs: Mapping[Dataset, Frames], counts: pl.LazyFrame | None = None) -> dict[str, int]:
        """Write every output; the lazy ones and the counts in one run of the engine, which shares their common work."""
        for dataset, frames in outputs.items():
            self.paths[dataset.name] = []
            if not isinstance(frames, pl.LazyFrame):
                self._write_each(dataset, [frames] if isinstance(frames, pl.DataFrame) else frames)
        lazy = {dataset: frames for dataset, frames in outputs.items() if isinstance(frames, pl.LazyFrame)}
        return self._sink_together(lazy, counts)

    def remove(self) -> None:
        """Take back what was written."""
        for paths in self.paths.values():
            for path in paths:
                self.storage.remove(path)

    def _new_path(self, dataset: Dataset) -> str:
        path = f"{folder(dataset, self.day)}/part-{uuid4().hex}.parquet"
        self.paths[dataset.name].append(path)
        return path

    def _write_each(self, dataset: Dataset, frames: Iterable[pl.DataFrame]) -> None:
        checked = (conforming(frame.lazy(), dataset).collect() for frame in frames)
        for rows in gathered(checked, FILE_ROWS):
            with self.storage.writing(self._new_path(dataset)) as target:
                rows.write_parquet(target, compression="snappy", row_group_size=ROW_GROUP_ROWS)

    def _sink_together(self, lazy: Mapping[Dataset, pl.LazyFrame], counts: pl.LazyFrame | None) -> dict[str, int]:
        plans = [] if counts is None else [counts]
        conform = {dataset: conforming(frame, dataset) for dataset, frame in lazy.items()}
        with ExitStack() as stack:
            for dataset, frame in conform.items():
                target = stack.enter_context(self.storage.writing(self._new_path(dataset)))
                sink = frame.sink_parquet(target, compression="snappy", row_group_size=ROW_GROUP_ROWS, lazy=True)
                plans.append(sink)
            collected = pl.collect_all(plans, engine="streaming")
        return {} if counts is None else {name: int(value) for name, value in collected[0].row(0, named=True).items()}


@contextmanager
def day_files(storage: Storage, day: date) -> Iterator[DayFiles]:
    """Files that vanish again when the block fails, so that a refused frame leaves nothing behind."""
    files = DayFiles(storage, day)
    try:
        yield files
    except BaseException:
        files.remove()
        raise


def gathered(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The same rows in frames of at least ``rows`` (the last may be smaller). No frame in, none out."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(part.height for part in waiting) >= rows:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)
