"""Where the lake's bytes are: one small protocol, and the local directory behind it.

Belongs here: the protocol and the directory. Does not: what the files mean (manifest.py, partitions.py). An object
store fits the same protocol: conditional PUT for ``replace``, multipart upload for ``writing``.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import IO, Final, Literal, Protocol
from uuid import uuid4

import polars as pl


class _Any(Enum):
    ANY = "any"


ANY: Final = _Any.ANY
Expected = bytes | Literal[_Any.ANY] | None


class Conflict(Exception):
    """``replace`` found other content than expected; nothing was written."""


@dataclass(frozen=True)
class StoredFile:
    """One file: path relative to the root, size in bytes, time of its last change (UTC)."""

    path: str
    size: int
    modified: datetime


class Storage(Protocol):
    """Paths are relative, with ``/``. A file is immutable once written; only ``replace`` changes one, atomically."""

    def read(self, path: str) -> bytes | None:
        """The content, or None when there is no such file."""
        ...

    def replace(self, path: str, data: bytes, *, expected: Expected) -> None:
        """Write if the present content is ``expected`` (None: absent; ANY: whatever). Raises Conflict otherwise.

        A reader sees the old bytes or the new ones, also after ``kill -9``: this is the commit of a partition.
        """
        ...

    def writing(self, path: str) -> AbstractContextManager[Path | IO[bytes]]:
        """A target for a new file; durable when the block ends."""
        ...

    def scan(self, paths: Sequence[str], schema: pl.Schema) -> pl.LazyFrame:
        """The rows of Parquet files, lazily; of no file: no rows with the schema."""
        ...

    def location(self, path: str) -> str:
        """Where another engine on this platform, such as the warehouse, finds a file."""
        ...

    def stat(self, path: str) -> StoredFile | None:
        """Size and time of one file, or None."""
        ...

    def list(self, prefix: str) -> Iterator[StoredFile]:
        """Every file below a folder, in order of path."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is fine."""
        ...


class LocalStorage:
    """A directory. Replacing takes the lock of the file's folder, which the kernel frees when a process dies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, path: str, data: bytes, *, expected: Expected) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent):
            if expected is not ANY and self.read(path) != expected:
                raise Conflict(path)
            temporary = target.with_name(f".{target.name}.{uuid4().hex}")
            try:
                with temporary.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(target.parent)

    @contextmanager
    def writing(self, path: str) -> Iterator[Path | IO[bytes]]:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target
        with target.open("rb") as file:
            os.fsync(file.fileno())
        _sync_folder(target.parent)

    def scan(self, paths: Sequence[str], schema: pl.Schema) -> pl.LazyFrame:
        if not paths:
            return pl.LazyFrame(schema=schema)
        files = [self.root / path for path in paths]
        return pl.scan_parquet(files, schema=schema, hive_partitioning=False, glob=False)

    def location(self, path: str) -> str:
        return str(self.root / path)

    def stat(self, path: str) -> StoredFile | None:
        try:
            found = (self.root / path).stat()
        except FileNotFoundError:
            return None
        return StoredFile(path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def list(self, prefix: str) -> Iterator[StoredFile]:
        folder = self.root / prefix
        for found in sorted(path for path in folder.rglob("*") if path.is_file()):
            stored = self.stat(found.relative_to(self.root).as_posix())
            if stored is not None:
                yield stored

    def remove(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: two commits of one day exclude each other, across threads and processes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Make the folder's entries durable; without it a power cut may lose the name of a file that was written."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
