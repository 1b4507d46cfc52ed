"""The lake by dataset and day: write, read, judge, verify. The only way in and out of its files.

Belongs here: the life of a partition. Does not: bytes (storage.py), data files (writing.py), the record
(manifest.py), rules about rows (batch/).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.lake import upkeep
from payments_platform.lake.errors import (
    ConcurrentCommit,
    ManifestUnreadable,
    PartitionCorrupt,
    PartitionMissing,
    PartitionNotPassed,
    PartitionOutdated,
)
from payments_platform.lake.frames import columns_mark, digest_algorithm, facts
from payments_platform.lake.manifest import DataFile, Manifest, Output, Verdict
from payments_platform.lake.paths import day_of_path, is_manifest, keeper, manifest_path
from payments_platform.lake.storage import Conflict, Storage
from payments_platform.lake.writing import Frames, Lazily, Slices, day_files

Counts = Mapping[str, int] | Callable[[], Mapping[str, int]] | Lazily
SourceDigests = Mapping[str, str] | Callable[[], Mapping[str, str]]
T = TypeVar("T")


class Lake:
    """Partitions behind one storage. Readers go through the manifest; nobody lists data files."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def write(
        self,
        day: date,
        outputs: Mapping[Dataset, Frames],
        *,
        code_version: str,
        now: datetime,
        inputs: Mapping[str, str] | None = None,
        counts: Counts | None = None,
        source_digests: SourceDigests | None = None,
        profile: Lazily | None = None,
    ) -> Manifest:
        """Write a day's datasets together and commit them as one, verdict ``pending``.

        The first dataset keeps the manifest. Callables are asked after the frames were consumed; a lazy frame of
        counts (one row, one column a count) or of the profile (column, value, row_count) is computed in the same pass
        as the rows; slices of them are added up. Raises SchemaMismatch, or ConcurrentCommit when another writer was
        faster. What was committed before is removed after the commit.
        """
        main = keeper(next(iter(outputs)))
        before = self.storage.read(manifest_path(main, day))
        old = _read(before, manifest_path(main, day))
        with day_files(self.storage, day) as files:
            lazily = counts if isinstance(counts, pl.LazyFrame | Slices) else None
            counted = files.write(outputs, lazily, profile)
            manifest = Manifest(
                dataset=main.name,
                day=day,
                verdict="pending",
                code_version=code_version,
                outputs={dataset.name: self._output(dataset, files.paths[dataset.name]) for dataset in outputs},
                written_at=now,
                inputs=dict(inputs or {}),
                counts=counted.counts if isinstance(counts, pl.LazyFrame | Slices) else _resolved(counts),
                profile=counted.profile,
                source_digests=_resolved(source_digests),
            ).replacing(old)
            self._commit(main, manifest, expected=before)
        self._remove_superseded(old)
        return manifest

    def scan(self, dataset: Dataset, day: date, *, allow_pending: bool = False) -> pl.LazyFrame:
        """The rows of a day, lazily.

        Raises PartitionMissing, PartitionNotPassed (unless ``allow_pending``: the checks themselves read so),
        PartitionOutdated when the contract has other columns now, or PartitionCorrupt when a file is not there or has
        another size than was committed.
        """
        manifest = self._existing(dataset, day)
        if manifest.verdict != "passed" and not allow_pending:
            raise PartitionNotPassed(dataset.name, day, manifest.verdict)
        files = manifest.outputs[dataset.name].files
        for file in files:
            self._check_size(dataset, day, file)
        return self.storage.scan([file.path for file in files], dataset.schema)

    def manifest(self, dataset: Dataset, day: date) -> Manifest | None:
        """The manifest that keeps the dataset's day, or None when the day was never committed."""
        path = manifest_path(dataset, day)
        data = self.storage.read(path)
        return None if data is None else Manifest.from_json(data, path=path)

    def manifests(self, dataset: Dataset) -> Iterator[Manifest]:
        """The manifests of all committed days, in order of day."""
        paths = (file.path for file in self.storage.list(keeper(dataset).name))
        for day in sorted(day_of_path(path) for path in paths if is_manifest(path)):
            manifest = self.manifest(dataset, day)
            if manifest is not None:
                yield manifest

    def first_day(self, dataset: Dataset) -> date | None:
        """The first day that was ever committed, or None."""
        paths = (file.path for file in self.storage.list(keeper(dataset).name))
        return min((day_of_path(path) for path in paths if is_manifest(path)), default=None)

    def days(self, dataset: Dataset) -> dict[date, Verdict]:
        """Every committed day and its verdict, in order of day."""
        return {manifest.day: manifest.verdict for manifest in self.manifests(dataset)}

    def set_verdict(
        self, dataset: Dataset, day: date, verdict: Verdict, notes: Sequence[str] = (), judged: Manifest | None = None
    ) -> Manifest:
        """Record what the checks said of ``judged`` (by default of what is there now).

        Raises PartitionMissing, or ConcurrentCommit when the day is another by now: a verdict on rows that nobody
        looked at would let them through.
        """
        path = manifest_path(dataset, day)
        data = self.storage.read(path)
        if data is None:
            raise PartitionMissing(dataset.name, day)
        present = Manifest.from_json(data, path=path)
        if judged is not None and present != judged:
            raise ConcurrentCommit(keeper(dataset).name, day)
        manifest = present.judged(verdict, tuple(notes))
        self._commit(keeper(dataset), manifest, expected=data)
        return manifest

    def verify(self, dataset: Dataset, day: date) -> Manifest:
        """Read every row again and compare with the manifest. Raises PartitionCorrupt naming the file."""
        manifest = self._existing(dataset, day)
        committed = manifest.outputs[dataset.name]
        for file in committed.files:
            self._check_size(dataset, day, file)
            rows = self._readable_rows(dataset, day, file)
            if rows != file.rows:
                raise PartitionCorrupt(dataset.name, day, file.path, f"has {rows} rows, {file.rows} were committed")
        found = facts(self.storage.scan([file.path for file in committed.files], dataset.schema), dataset)
        if committed.digest_algorithm == digest_algorithm(dataset) and found.digest != committed.digest:
            names = ", ".join(file.path for file in committed.files) or "no file"
            raise PartitionCorrupt(dataset.name, day, names, "changed content: the digest differs from the committed")
        return manifest

    def sweep(self, *, older_than: timedelta, now: datetime) -> list[str]:
        """Remove files that no manifest names (a killed writer's); return their paths."""
        return upkeep.sweep(self.storage, older_than=older_than, now=now)

    def expire_segments(self, *, now: datetime) -> list[str]:
        """Remove segments of the stream that are old enough; return the paths of their manifests."""
        return upkeep.expire_segments(self.storage, now=now)

    def bytes_by_zone(self) -> dict[str, int]:
        """Bytes stored in each zone."""
        return upkeep.bytes_by_zone(self.storage)

    def _existing(self, dataset: Dataset, day: date) -> Manifest:
        manifest = self.manifest(dataset, day)
        if manifest is None or dataset.name not in manifest.outputs:
            raise PartitionMissing(dataset.name, day)
        mark = manifest.outputs[dataset.name].digest_algorithm.partition(":")[2]
        if mark and mark != columns_mark(dataset):
            # Made again, never read as if its new columns were empty.
            raise PartitionOutdated(dataset.name, day)
        return manifest

    def _commit(self, main: Dataset, manifest: Manifest, *, expected: bytes | None) -> None:
        try:
            self.storage.replace(manifest_path(main, manifest.day), manifest.to_json(), expected=expected)
        except Conflict:
            raise ConcurrentCommit(main.name, manifest.day) from None

    def _output(self, dataset: Dataset, paths: Sequence[str]) -> Output:
        """Describe what was written by reading it back: the digest is of the bytes on disk, not of an intention."""
        found = facts(self.storage.scan(paths, dataset.schema), dataset)
        rows = [found.rows] if len(paths) == 1 else [self._count(dataset, path) for path in paths]
        stored = [self.storage.stat(path) for path in paths]
        files = tuple(
            DataFile(path, count, 0 if file is None else file.size)
            for path, count, file in zip(paths, rows, stored, strict=True)
        )
        return Output(files, found.rows, found.sums, found.digest, digest_algorithm(dataset))

    def _count(self, dataset: Dataset, path: str) -> int:
        rows: int = self.storage.scan([path], dataset.schema).select(pl.len()).collect().item()
        return rows

    def _check_size(self, dataset: Dataset, day: date, file: DataFile) -> None:
        stored = self.storage.stat(file.path)
        if stored is None:
            raise PartitionCorrupt(dataset.name, day, file.path, "is missing")
        if stored.size != file.bytes:
            problem = f"has {stored.size} bytes, {file.bytes} were committed (truncated or changed)"
            raise PartitionCorrupt(dataset.name, day, file.path, problem)

    def _readable_rows(self, dataset: Dataset, day: date, file: DataFile) -> int:
        """Rows of a file with every column decoded, so that a damaged page shows here and not in a later run."""
        try:
            return facts(self.storage.scan([file.path], dataset.schema), dataset).rows
        except (pl.exceptions.PolarsError, OSError) as error:
            raise PartitionCorrupt(dataset.name, day, file.path, f"cannot be read ({type(error).__name__})") from error

    def _remove_superseded(self, old: Manifest | None) -> None:
        """Remove the files of the commit that was replaced. What a kill leaves here, the sweeper takes."""
        for output in old.outputs.values() if old else ():
            for file in output.files:
                self.storage.remove(file.path)


def _read(data: bytes | None, path: str) -> Manifest | None:
    """What is replaced, or None when nothing is, or nothing that can be read."""
    try:
        return None if data is None else Manifest.from_json(data, path=path)
    except ManifestUnreadable:
        return None


def _resolved(given: Mapping[str, T] | Callable[[], Mapping[str, T]] | None) -> dict[str, T]:
    return dict(given() if callable(given) else given or {})
