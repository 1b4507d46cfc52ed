"""A segment's file: messages of analytics.transactions as rows of raw/transactions_stream, written and committed.

Belongs here: rows, files, where a file must end. Does not: gathering messages (lake.py), manifests (lake/segments.py).
"""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import polars as pl

from payments_platform.contracts.streams import EVENT_SCHEMA, RAW_TRANSACTIONS_STREAM
from payments_platform.errors import ExplainedError
from payments_platform.lake import segments
from payments_platform.lake.frames import conforming, digest_algorithm, facts
from payments_platform.lake.segments import STREAM_FOLDER, Segment
from payments_platform.lake.storage import Storage
from payments_platform.operations.errors import ErrorClass
from payments_platform.streaming.positions import Partition

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_HOUR: Final = pl.col("appended_at").dt.truncate("1h")


class LakeFull(ExplainedError):
    """The lake's disk is full. Nothing of a segment stays there half-written, and what waits stays at the broker."""

    error_class: ErrorClass = "transient"


def committed(
    storage: Storage, partition: Partition, span: tuple[int, int], rows: pl.DataFrame, now: datetime
) -> Segment:
    """Write the rows of offsets ``span`` and commit them; return the segment that holds, which may be another writer's.

    Raises LakeFull.
    """
    with _told_when_full():
        made = written(storage, partition, span, rows, now)
        with _removed_on_failure(storage, made.file):
            return segments.commit(storage, made)


@contextmanager
def _told_when_full() -> Iterator[None]:
    """A full disk is an error that passes for a worker that never ends: it pauses, and goes on once there is room."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise LakeFull("The lake's disk is full. Make room: the messages that wait are written then.") from error


@contextmanager
def _removed_on_failure(storage: Storage, path: str) -> Iterator[None]:
    """No file stays of a try that failed: each try would leave one more on a disk that is full."""
    try:
        yield
    except BaseException:
        storage.remove(path)
        raise


def first_hour(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows up to the first that was appended in another hour: a file lies in the folder of one."""
    return rows.filter(_HOUR.rle_id() == 0)


def rows_of(events: pl.DataFrame) -> pl.DataFrame:
    """Events beside the columns of their messages as rows of raw/transactions_stream."""
    return events.select(
        *EVENT_SCHEMA.names(),
        pl.col("partition").alias("topic_partition"),
        pl.col("offset").alias("topic_offset"),
        pl.col("timestamp").alias("appended_at"),
    )


def written(
    storage: Storage, partition: Partition, span: tuple[int, int], rows: pl.DataFrame, now: datetime
) -> Segment:
    """Write the rows of offsets ``span`` to a new file, and describe what was written by reading it back."""
    appended: list[datetime] = rows["appended_at"].to_list()
    first = appended[0]
    path = f"{STREAM_FOLDER}/year={first:%Y}/month={first:%m}/day={first:%d}/hour={first:%H}/part-{uuid4().hex}.parquet"
    frame = conforming(rows.lazy(), RAW_TRANSACTIONS_STREAM).collect()
    made = io.BytesIO()
    frame.write_parquet(made, compression="snappy")
    with _removed_on_failure(storage, path), storage.writing(path) as target:
        # Not by the engine: what it raises for a full disk does not always say so.
        if isinstance(target, Path):
            target.write_bytes(made.getbuffer())
        else:
            target.write(made.getbuffer())
    found = facts(storage.scan([path], RAW_TRANSACTIONS_STREAM.schema), RAW_TRANSACTIONS_STREAM)
    stored = storage.stat(path)
    return Segment(
        topic=partition[0], partition=partition[1], start=span[0], end=span[1],
        rows=found.rows, sums=found.sums,
        digest=found.digest, digest_algorithm=digest_algorithm(RAW_TRANSACTIONS_STREAM),
        file=path, bytes=stored.size if stored else 0,
        first_appended_at=min(appended), last_appended_at=max(appended), written_at=now,
    )  # fmt: skip
