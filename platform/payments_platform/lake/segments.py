"""Segments of the stream in the lake: a run of messages of one topic partition, committed by its manifest.

Belongs here: the manifest, the commit by which the first writer wins, the chain that segments form. Does not: messages
(streaming/), windows over segments.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any, Final

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake.errors import ManifestUnreadable
from payments_platform.lake.frames import digest_algorithm, facts
from payments_platform.lake.storage import Conflict, Storage
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

STREAM_FOLDER: Final = RAW_TRANSACTIONS_STREAM.name
SEGMENTS_FOLDER: Final = f"{STREAM_FOLDER}/_segments"
STREAM_TOPICS: Final = (ANALYTICS_TRANSACTIONS,)
"""The topics whose messages the lake keeps."""


@dataclass(frozen=True)
class Segment:
    """What one data file holds: the messages of ``[start, end)``, where ``end`` is the next offset to read.

    Offsets that hold no message (marks of transactions, aborted ones) lie inside like any other, so that segments of a
    partition join without a hole. ``sums`` are minor units by currency; "" stands for a null currency.
    """

    topic: str
    partition: int
    start: int
    end: int
    rows: int
    sums: Mapping[str, int]
    digest: str
    digest_algorithm: str
    file: str
    bytes: int
    first_appended_at: datetime
    last_appended_at: datetime
    written_at: datetime

    @property
    def path(self) -> str:
        """Where its manifest lies: named by where it starts, so that two writers of one start meet there."""
        return segment_path(self.topic, self.partition, self.start)

    def holds_the_same(self, other: "Segment") -> bool:
        """Whether both say the same of the same messages, whenever and into whichever file they were written."""
        return (self.end, self.rows, dict(self.sums), self.digest, self.digest_algorithm) == (
            other.end, other.rows, dict(other.sums), other.digest, other.digest_algorithm,
        )  # fmt: skip


_TIMES: Final = ("first_appended_at", "last_appended_at", "written_at")


def as_json(segment: Segment) -> bytes:
    """The manifest's bytes, for people too: keys sorted."""
    times = {name: getattr(segment, name).astimezone(UTC).isoformat() for name in _TIMES}
    return json.dumps({**asdict(segment), **times}, indent=1, sort_keys=True, ensure_ascii=False).encode()


def from_json(data: bytes, *, path: str) -> Segment:
    """Read what ``as_json`` wrote. Raises ManifestUnreadable naming the file."""
    try:
        record: dict[str, Any] = json.loads(data)
        return Segment(**record | {name: datetime.fromisoformat(record[name]) for name in _TIMES})
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestUnreadable(path, f"{type(error).__name__}: {error}") from error


def is_of_stream(path: str) -> bool:
    """Whether a path is that of a manifest of the stream (of a segment, or of a window of them), not of its rows.

    What a killed writer left half-written beside them is none, and is swept.
    """
    return path.startswith(f"{STREAM_FOLDER}/_") and path.endswith(".json")


def segment_path(topic: str, partition: int, start: int) -> str:
    """Path of the manifest of the segment that starts there."""
    return f"{SEGMENTS_FOLDER}/{topic}-{partition}-{start}.json"


def commit(storage: Storage, segment: Segment) -> Segment:
    """Commit a segment whose file is written; return the one that holds: this, or another writer's that was first.

    A worker that was taken for dead and wakes up finds its place taken, and its rows are not there twice: its file is
    removed.
    """
    try:
        storage.replace(segment.path, as_json(segment), expected=None)
    except Conflict:
        storage.remove(segment.file)
        return read(storage, segment.topic, segment.partition, segment.start)
    return segment


def read(storage: Storage, topic: str, partition: int, start: int) -> Segment:
    """The segment that starts at an offset. Raises ManifestUnreadable when there is none."""
    path = segment_path(topic, partition, start)
    data = storage.read(path)
    if data is None:
        raise ManifestUnreadable(path, "it is not there")
    return from_json(data, path=path)


def is_intact(storage: Storage, segment: Segment) -> bool:
    """Whether its file is there and holds the rows that were committed, every column decoded."""
    stored = storage.stat(segment.file)
    if stored is None or stored.size != segment.bytes:
        return False
    try:
        found = facts(storage.scan([segment.file], RAW_TRANSACTIONS_STREAM.schema), RAW_TRANSACTIONS_STREAM)
    except (pl.exceptions.PolarsError, OSError):
        return False
    is_comparable = segment.digest_algorithm == digest_algorithm(RAW_TRANSACTIONS_STREAM)
    return found.rows == segment.rows and (not is_comparable or found.digest == segment.digest)


def starts(storage: Storage, topic: str) -> dict[int, list[int]]:
    """By partition, where its segments start, in order; from names alone."""
    found: dict[int, list[int]] = {}
    for file in storage.list(SEGMENTS_FOLDER):
        name = PurePosixPath(file.path)
        parts = name.stem.rsplit("-", 2)
        # A leftover of a writer that was killed while it wrote a manifest has a hidden name.
        if name.suffix == ".json" and len(parts) == 3 and parts[0] == topic:
            found.setdefault(int(parts[1]), []).append(int(parts[2]))
    return {partition: sorted(numbers) for partition, numbers in sorted(found.items())}


def first_day(storage: Storage, topic: str) -> date | None:
    """The day on which Kafka got the oldest message that is kept; None when there is none. Few manifests are read."""
    firsts = [read(storage, topic, number, offsets[0]) for number, offsets in starts(storage, topic).items()]
    return min((it.first_appended_at.astimezone(UTC).date() for it in firsts), default=None)


def segments(storage: Storage, topic: str) -> Iterator[Segment]:
    """Every committed segment of a topic, by partition and start."""
    for partition, numbers in starts(storage, topic).items():
        for start in numbers:
            yield read(storage, topic, partition, start)


def ends(storage: Storage, topic: str) -> dict[int, int]:
    """By partition, the next offset that no segment holds: where a worker reads on, whatever its group committed."""
    return {
        partition: read(storage, topic, partition, numbers[-1]).end
        for partition, numbers in starts(storage, topic).items()
    }


def expire(storage: Storage, topic: str, *, before: datetime) -> list[str]:
    """Remove the segments whose messages are all older; return their paths.

    The last of each partition stays, however old: workers start at its end. The manifest goes first, so that a kill
    leaves a file that nobody reads, which the sweeper takes, and never a segment without its rows.
    """
    removed: list[str] = []
    for partition, numbers in starts(storage, topic).items():
        for start in numbers[:-1]:
            segment = read(storage, topic, partition, start)
            if segment.last_appended_at >= before:
                break
            storage.remove(segment.path)
            storage.remove(segment.file)
            removed.append(segment.path)
    return removed
