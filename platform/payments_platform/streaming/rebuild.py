"""Building a store again from what the stream left: the lake's segments, then the rest of the topic.

Belongs here: clearing and replaying a store of four verbs, making segments of the lake again. Does not: the stores
(sinks/), questions to a person and progress bars (commands/rebuild.py).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.lake.segments import Segment
from payments_platform.lake.storage import ANY, Storage
from payments_platform.streaming.events import decode
from payments_platform.streaming.reading import frames
from payments_platform.streaming.sinks.handler import Clock, now
from payments_platform.streaming.sinks.lake import first_hour, rows_of, written
from payments_platform.streaming.sinks.protocol import Sink
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

Origin = Literal["lake", "kafka"]
Progress = Callable[[int], None]
Messages = Callable[[int, int, int], Iterator[pl.DataFrame]]
"""The messages of a partition with offsets in ``[start, end)``."""
_TOPIC: Final = ANALYTICS_TRANSACTIONS
_AT_ONCE: Final = 5_000


@dataclass(frozen=True)
class Replayed:
    """What a rebuild did: events written, and those that the store or the reader refused, as at the first time."""

    events: int
    refused: int


def rebuild_store(sink: Sink, storage: Storage, servers: str, origin: Origin, progress: Progress) -> Replayed:
    """Clear a store and write again all that the stream brought. Safe to repeat; a running worker may go on.

    From the lake, which keeps as long as the stores, and then from the topic what no segment holds yet; or from the
    topic alone, which keeps a week. What a worker writes meanwhile is merged with it, as always. What is refused is
    counted alone: it has its dead letter already.
    """
    sink.clear()
    total = refused = 0
    for part, unreadable in _events(storage, servers, origin):
        refused += unreadable + sink.write(part).height
        total += part.height
        progress(part.height)
    return Replayed(total, refused)


def _events(storage: Storage, servers: str, origin: Origin) -> Iterator[tuple[pl.DataFrame, int]]:
    """Events in frames that a sink takes at once, each with the number of messages beside it that are none."""
    ends: dict[int, int] = {}
    if origin == "lake":
        for segment in segments.segments(storage, _TOPIC):
            yield from ((part, 0) for part in _of_segment(storage, segment).iter_slices(_AT_ONCE))
            # Not asked anew at the end: what a running worker commits meanwhile was not replayed from its segment.
            ends[segment.partition] = segment.end
    for messages in frames(servers, _TOPIC, ends):
        for part in messages.iter_slices(_AT_ONCE):
            events, unreadable = decode(part)
            yield events, unreadable.height


def _of_segment(storage: Storage, segment: Segment) -> pl.DataFrame:
    """Its rows, beside the columns of the messages they were."""
    rows = storage.scan([segment.file], RAW_TRANSACTIONS_STREAM.schema).collect()
    return rows.rename(
        {"topic_partition": "partition", "topic_offset": "offset", "appended_at": "timestamp"}
    ).with_columns(pl.lit(segment.topic).alias("topic"))


@dataclass(frozen=True)
class Remade:
    """What a rebuild of the lake did: segments found right, written again, and made where one was missing."""

    kept: int
    replaced: int
    made: int


@dataclass(frozen=True)
class _Span:
    """Offsets of a partition that are one segment, or that no segment holds."""

    start: int
    end: int
    segment: Segment | None


class LakeRebuild:
    """Makes the segments again whose messages the broker still has, in place; older ones stay as they are.

    The lake keeps months and the topic a week: emptying the lake first would lose what nobody else has. Nothing beyond
    ``committed``, where the running worker stands, is touched; below it, a hole between segments is filled.
    """

    def __init__(self, storage: Storage, messages: Messages, records: int, clock: Clock = now) -> None:
        """A hole is filled by segments of ``records`` messages at most."""
        self._storage, self._messages, self._records, self._clock = storage, messages, records, clock
        self._kept = self._replaced = self._made = 0

    def run(self, oldest: Mapping[int, int], committed: Mapping[int, int], progress: Progress) -> Remade:
        """The maps are offsets by partition: the first that the broker has, and where the worker stands."""
        for partition, end in sorted(committed.items()):
            for span in self._spans(partition, oldest.get(partition, 0), end):
                if span.segment is None:
                    self._fill(partition, span)
                else:
                    self._make_again(partition, span.segment)
                progress(span.end - span.start)
        return Remade(self._kept, self._replaced, self._made)

    def _spans(self, partition: int, oldest: int, end: int) -> list[_Span]:
        starts = segments.starts(self._storage, _TOPIC).get(partition, [])
        known = [segments.read(self._storage, _TOPIC, partition, start) for start in starts]
        held = [_Span(it.start, it.end, it) for it in known if it.start >= oldest]
        # A segment of which the broker has a part alone stays as it is, like the older ones.
        floor = max([oldest, *(it.end for it in known if it.start < oldest)])
        edges = [_Span(floor, floor, None), *held, _Span(end, end, None)]
        holes = [_Span(left.end, right.start, None) for left, right in pairwise(edges) if left.end < right.start]
        return sorted([*held, *holes], key=lambda span: span.start)

    def _make_again(self, partition: int, old: Segment) -> None:
        parts = [rows_of(decode(part)[0]) for part in self._messages(partition, old.start, old.end)]
        if not parts:
            return
        new = written(self._storage, (_TOPIC, partition), (old.start, old.end), pl.concat(parts), self._clock())
        if new.holds_the_same(old) and segments.is_intact(self._storage, old):
            self._storage.remove(new.file)
            self._kept += 1
            return
        self._storage.replace(old.path, segments.as_json(new), expected=ANY)
        self._storage.remove(old.file)
        self._replaced += 1

    def _fill(self, partition: int, span: _Span) -> None:
        """Segments that join from one edge of a hole to the other. Where no message was, there is none to write."""
        start, rows = span.start, pl.DataFrame(schema=RAW_TRANSACTIONS_STREAM.schema)
        for part in self._messages(partition, span.start, span.end):
            rows = pl.concat([rows, rows_of(decode(part)[0])])
            # What ends the hole is known with its last message alone, so one is kept back.
            while rows.height > self._records:
                start, rows = self._cut(partition, start, span.end, rows)
        while not rows.is_empty():
            start, rows = self._cut(partition, start, span.end, rows)

    def _cut(self, partition: int, start: int, end: int, rows: pl.DataFrame) -> tuple[int, pl.DataFrame]:
        """Commit the first segment of the rows; return where the next one starts, and its rows."""
        run = first_hour(rows.head(self._records))
        reached = end if run.height == rows.height else int(rows["topic_offset"][run.height])
        made = written(self._storage, (_TOPIC, partition), (start, reached), run, self._clock())
        segment = segments.commit(self._storage, made)
        self._made += segment == made
        return segment.end, rows.filter(pl.col("topic_offset") >= segment.end)
