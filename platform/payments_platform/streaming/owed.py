"""PostgreSQL and the stores as verification asks them: payments in ranges of ids, versions of payments.

Belongs here: SQL of ranges, rows of the lake and of the topic. Does not: what must agree (verification.py), what
dead letters excuse (excuses.py), clients.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.lake.segments import Segment
from payments_platform.lake.storage import Storage
from payments_platform.streaming.events import decode
from payments_platform.streaming.positions import ends
from payments_platform.streaming.reading import frames
from payments_platform.streaming.sinks.lake_files import rows_of
from payments_platform.streaming.sinks.protocol import Span, Wanted
from payments_platform.streaming.sorted_copy import FILE_ROWS, SortedCopy
from payments_platform.streaming.truth import committed_versions
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

_ID: Final = "transaction_id"
_HISTORY: Final = "oltp.transactions_history"
# A store may hold the documents of a whole range in memory while it answers: MongoDB's emulator does.
_PAYMENTS_AT_ONCE: Final = 20_000
# What a worker may hold beyond its setting: the batch in its hands, and the time to write it.
_WRITING: Final = timedelta(seconds=30)


class Postgres:
    """PostgreSQL over an Arrow connection to the primary."""

    def __init__(self, connection: Any, epoch: int, since: datetime | None = None) -> None:  # noqa: ANN401 - ADBC's, imported late
        self._connection, self._epoch, self.since = connection, epoch, since
        self._changed = "true"
        if since is not None:
            self._changed = f"{_ID} IN (SELECT {_ID} FROM {_HISTORY} WHERE updated_at >= {_quoted(since.isoformat())})"

    def spans(self) -> Iterator[Span]:
        """Of all payments, also when few have changed: a store's range holds the others too."""
        payments = f"SELECT DISTINCT {_ID} FROM {_HISTORY}"
        numbered = f'SELECT {_ID}, row_number() OVER (ORDER BY {_ID} COLLATE "C") AS place FROM ({payments}) AS p'
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT {_ID} FROM ({numbered}) AS n WHERE place % {_PAYMENTS_AT_ONCE} = 0 ORDER BY place")
            edges = [row[0] for row in cursor.fetchall()]
        for first, end in zip([None, *edges], [*edges, None], strict=True):
            yield Span(first, end)

    def versions(self, wanted: Wanted) -> pl.DataFrame:
        return committed_versions(self._connection, RAW_TRANSACTIONS, self._epoch, self._where(wanted))

    def _where(self, wanted: Wanted) -> str:
        if not isinstance(wanted, Span):
            return f"{_ID} IN ({', '.join(map(_quoted, wanted))})"
        bounds = [(">=", wanted.first), ("<", wanted.end)]
        held = [f'{_ID} COLLATE "C" {sign} {_quoted(edge)}' for sign, edge in bounds if edge is not None]
        return " AND ".join([self._changed, *held])


def _quoted(text: str) -> str:
    """An SQL literal. Arrow results come from statements without parameters."""
    return "'" + text.replace("'", "''") + "'"


class TopicRows:
    """A copy of analytics.transactions, so that a topic larger than memory can be asked by ranges of ids."""

    def __init__(self, servers: str, folder: Path) -> None:
        self._servers = servers
        self._copy = SortedCopy(folder, RAW_TRANSACTIONS_STREAM.schema)
        self._ends: dict[int, int] = {}

    def refresh(self) -> None:
        """Copy what has come since."""
        for messages in frames(self._servers, ANALYTICS_TRANSACTIONS, self._ends):
            self._copy.add(rows_of(decode(messages)[0]))
            self._ends |= {partition: end for (_, partition), end in ends(messages).items()}

    def rows(self, wanted: Wanted) -> pl.DataFrame:
        """The messages about payments; what is asked by id is asked anew."""
        if not isinstance(wanted, Span) or not self._ends:
            self.refresh()
        return self._copy.rows(wanted)

    def first(self) -> datetime | None:
        """When the oldest message was appended; None when there is none."""
        self.refresh()
        found: datetime | None = self._copy.scan().select(pl.col("appended_at").min()).collect().item()
        return found

    def beyond(self, ends: dict[int, int], since: datetime, wanted: Wanted) -> pl.DataFrame:
        """The messages that the lake's worker may still hold: beyond its last segments, and young."""
        starts = pl.DataFrame(list(ends.items()), {"topic_partition": pl.Int32, "start": pl.Int64}, orient="row")
        young = self.rows(wanted).filter(pl.col("appended_at") >= since).join(starts, on="topic_partition", how="left")
        return young.filter(pl.col("topic_offset") >= pl.col("start").fill_null(0)).drop("start")


class LakeRows:
    """A copy of the stream's segments, which are many and small, and what their worker may still hold of the topic."""

    def __init__(self, storage: Storage, folder: Path, topic: TopicRows, flush_age: timedelta) -> None:
        self._storage, self._topic, self._age = storage, topic, flush_age + _WRITING
        self._copy = SortedCopy(folder, RAW_TRANSACTIONS_STREAM.schema)
        self._copied: set[str] = set()
        self._segments: list[Segment] = []
        self._held_since: datetime | None = None

    def first(self) -> datetime | None:
        """When the oldest message of the copy was appended, if older ones were removed; else None."""
        self.refresh()
        firsts = {segment.partition: segment for segment in reversed(self._segments)}.values()
        return min((it.first_appended_at for it in firsts if it.start > 0), default=None)

    def refresh(self) -> datetime:
        """Copy the segments that have come since, or all when one has gone; return since when others may be held."""
        self._held_since = datetime.now(UTC) - self._age
        self._segments = list(segments.segments(self._storage, ANALYTICS_TRANSACTIONS))
        if self._copied - {segment.file for segment in self._segments}:
            self._copy.clear()
            self._copied.clear()
        for files in self._parts():
            self._copy.add(self._storage.scan(files, RAW_TRANSACTIONS_STREAM.schema).collect())
            self._copied.update(files)
        return self._held_since

    def rows(self, wanted: Wanted) -> pl.DataFrame:
        """The messages about payments; what is asked by id is asked anew."""
        since = self._held_since
        if since is None or not isinstance(wanted, Span):
            since = self.refresh()
        ends = {segment.partition: segment.end for segment in self._segments}
        return pl.concat([self._copy.rows(wanted), self._topic.beyond(ends, since, wanted)])

    def _parts(self) -> Iterator[list[str]]:
        """The files that are not copied yet, some at once: most hold few rows."""
        files: list[str] = []
        rows = 0
        for segment in self._segments:
            if segment.file not in self._copied:
                files.append(segment.file)
                rows += segment.rows
            if rows >= FILE_ROWS:
                yield files
                files, rows = [], 0
        if files:
            yield files
