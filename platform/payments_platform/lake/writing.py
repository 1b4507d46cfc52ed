"""Putting frames into data files of unique names; nothing of it counts before a manifest names them.

Belongs here: lazy plans sunk together by the streaming engine, frames written as they come. Does not: the commit.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import uuid4

import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.lake.frames import conforming
from payments_platform.lake.paths import folder
from payments_platform.lake.storage import Storage


class Slices(tuple[pl.LazyFrame, ...]):
    """A dataset's day as lazy frames that are computed one after another, so that each fits into memory.

    The slices of all that is written and counted together go together by position.
    """

    __slots__ = ()


Frames = pl.LazyFrame | Slices | pl.DataFrame | Iterable[pl.DataFrame]
Lazily = pl.LazyFrame | Slices

ROW_GROUP_ROWS: Final = 131_072
# Frames that arrive one by one are gathered to files of at least so many rows: few files, bounded memory.
FILE_ROWS: Final = 250_000


@dataclass(frozen=True)
class Counted:
    """What was counted while the rows were written: counts by name, and rows by column and value."""

    counts: dict[str, int]
    profile: dict[str, dict[str, int]]

    def plus(self, more: "Counted") -> "Counted":
        """Both added up."""
        columns = dict.fromkeys((*self.profile, *more.profile))
        profile = {name: _sums(self.profile.get(name, {}), more.profile.get(name, {})) for name in columns}
        return Counted(_sums(self.counts, more.counts), profile)


def _sums(some: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: some.get(name, 0) + more.get(name, 0) for name in dict.fromkeys((*some, *more))}


class DayFiles:
    """The files being written for one day, by dataset name."""

    def __init__(self, storage: Storage, day: date) -> None:
        self.storage, self.day = storage, day
        self.paths: dict[str, list[str]] = {}

    def write(
        self, outputs: Mapping[Dataset, Frames], counts: Lazily | None = None, profile: Lazily | None = None
    ) -> Counted:
        """Write every output; the lazy ones and what is counted in one run of the engine, which shares their work."""
        lazy: dict[Dataset, Slices] = {}
        for dataset, frames in outputs.items():
            self.paths[dataset.name] = []
            if isinstance(frames, pl.LazyFrame | Slices):
                lazy[dataset] = _slices(frames)
            else:
                self._write_each(dataset, [frames] if isinstance(frames, pl.DataFrame) else frames)
        return self._write_slices(lazy, _slices(counts), _slices(profile))

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

    def _write_slices(self, lazy: Mapping[Dataset, Slices], counts: Slices, profile: Slices) -> Counted:
        counted = Counted({}, {})
        for number in range(max(map(len, (*lazy.values(), counts, profile)))):
            of_slice = {dataset: slices[number] for dataset, slices in lazy.items()}
            counted_of = [slices[number] if slices else None for slices in (counts, profile)]
            counted = counted.plus(self._sink_together(of_slice, *counted_of))
        return counted

    def _sink_together(
        self, lazy: Mapping[Dataset, pl.LazyFrame], counts: pl.LazyFrame | None, profile: pl.LazyFrame | None
    ) -> Counted:
        counted = [plan for plan in (counts, profile) if plan is not None]
        conform = {dataset: conforming(frame, dataset) for dataset, frame in lazy.items()}
        with ExitStack() as stack:
            sinks = []
            for dataset, frame in conform.items():
                target = stack.enter_context(self.storage.writing(self._new_path(dataset)))
                sinks.append(frame.sink_parquet(target, compression="snappy", row_group_size=ROW_GROUP_ROWS, lazy=True))
            collected = iter(pl.collect_all([*counted, *sinks], engine="streaming"))
        return Counted(
            {} if counts is None else {name: int(value) for name, value in next(collected).row(0, named=True).items()},
            {} if profile is None else _by_column(next(collected)),
        )


def _slices(frames: Lazily | None) -> Slices:
    if frames is None:
        return Slices()
    return frames if isinstance(frames, Slices) else Slices((frames,))


def _by_column(profile: pl.DataFrame) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for column, value, rows in profile.select("column", "value", "row_count").sort("column", "value").iter_rows():
        if rows:
            found.setdefault(column, {})[value or ""] = rows
    return found


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
