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
from payments_platform.lake.storage import Storage
from payments_platform.streaming.events import decode
from payments_platform.streaming.positions import ends
from payments_platform.streaming.reading import frames
from payments_platform.streaming.sinks.lake import rows_of
from payments_platform.streaming.sinks.protocol import Span, Wanted
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
    """A copy of analytics.transactions in files, so that a topic larger than memory can be asked by ranges of ids."""

    def __init__(self, servers: str, folder: Path) -> None:
        self._servers, self._folder = servers, folder
        self._ends: dict[int, int] = {}
        self._files: list[Path] = []

    def refresh(self) -> None:
        """Copy what has come since."""
        for messages in frames(self._servers, ANALYTICS_TRANSACTIONS, self._ends):
            path = self._folder / f"{len(self._files):06}.parquet"
            rows_of(decode(messages)[0]).write_parquet(path, compression="snappy")
            self._files.append(path)
            self._ends |= {partition: end for (_, partition), end in ends(messages).items()}

    def rows(self, wanted: Wanted) -> pl.DataFrame:
        """The messages about payments; what is asked by id is asked anew."""
        if not isinstance(wanted, Span) or not self._files:
            self.refresh()
        return _rows(pl.scan_parquet(self._files) if self._files else _NONE, wanted)

    def first(self) -> datetime | None:
        """When the oldest message was appended; None when there is none."""
        self.refresh()
        times = pl.scan_parquet(self._files) if self._files else _NONE
        found: datetime | None = times.select(pl.col("appended_at").min()).collect().item()
        return found

    def beyond(self, ends: dict[int, int], since: datetime, wanted: Wanted) -> pl.DataFrame:
        """The messages that the lake's worker may still hold: beyond its last segments, and young."""
        starts = pl.DataFrame(list(ends.items()), {"topic_partition": pl.Int32, "start": pl.Int64}, orient="row")
        young = self.rows(wanted).filter(pl.col("appended_at") >= since).join(starts, on="topic_partition", how="left")
        return young.filter(pl.col("topic_offset") >= pl.col("start").fill_null(0)).drop("start")


class LakeRows:
    """The stream's segments, and what their worker may still hold of the topic."""

    def __init__(self, storage: Storage, copy: TopicRows, flush_age: timedelta) -> None:
        self._storage, self._topic, self._age = storage, copy, flush_age + _WRITING

    def first(self) -> datetime | None:
        """When the oldest message was appended, if older ones were removed; else None."""
        found = list(segments.segments(self._storage, ANALYTICS_TRANSACTIONS))
        firsts = {segment.partition: segment for segment in reversed(found)}.values()
        return min((it.first_appended_at for it in firsts if it.start > 0), default=None)

    def rows(self, wanted: Wanted) -> pl.DataFrame:
        """The messages about payments."""
        found = list(segments.segments(self._storage, ANALYTICS_TRANSACTIONS))
        scanned = self._storage.scan([segment.file for segment in found], RAW_TRANSACTIONS_STREAM.schema)
        ends: dict[int, int] = {}
        for segment in found:
            ends[segment.partition] = max(ends.get(segment.partition, 0), segment.end)
        held = self._topic.beyond(ends, datetime.now(UTC) - self._age, wanted)
        return pl.concat([_rows(scanned, wanted), held])


_NONE: Final = pl.LazyFrame(schema=RAW_TRANSACTIONS_STREAM.schema)


def _rows(scanned: pl.LazyFrame, wanted: Wanted) -> pl.DataFrame:
    asked = wanted.holds() if isinstance(wanted, Span) else pl.col(_ID).is_in(list(wanted))
    return scanned.filter(asked).collect(engine="streaming")
