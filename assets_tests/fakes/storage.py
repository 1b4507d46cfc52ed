"""A lake storage in memory: the same verbs as the directory, no file system."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import IO

import polars as pl

from payments_platform.lake.storage import ANY, Conflict, Expected, StoredFile


class MemoryStorage:
    """Files in a dictionary; ``now`` is what new files are dated with."""

    def __init__(self, now: datetime = datetime(2025, 1, 1, tzinfo=UTC)) -> None:
        self.files: dict[str, tuple[bytes, datetime]] = {}
        self.now = now
        self._lock = Lock()

    def read(self, path: str) -> bytes | None:
        return self.files[path][0] if path in self.files else None

    def replace(self, path: str, data: bytes, *, expected: Expected) -> None:
        with self._lock:
            if expected is not ANY and self.read(path) != expected:
                raise Conflict(path)
            self.files[path] = (data, self.now)

    @contextmanager
    def writing(self, path: str) -> Iterator[Path | IO[bytes]]:
        target = io.BytesIO()
        yield target
        self.files[path] = (target.getvalue(), self.now)

    def scan(self, paths: Sequence[str], schema: pl.Schema) -> pl.LazyFrame:
        if not paths:
            return pl.LazyFrame(schema=schema)
        contents = [self.files[path][0] for path in paths]
        return pl.scan_parquet(contents, schema=schema)

    def location(self, path: str) -> str:
        raise NotImplementedError(f"{path} is in memory: land its frame, not its file")

    def stat(self, path: str) -> StoredFile | None:
        if path not in self.files:
            return None
        data, modified = self.files[path]
        return StoredFile(path, len(data), modified)

    def list(self, prefix: str) -> Iterator[StoredFile]:
        for path in sorted(self.files):
            found = self.stat(path)
            if found is not None and path.startswith(f"{prefix}/"):
                yield found

    def remove(self, path: str) -> None:
        self.files.pop(path, None)
