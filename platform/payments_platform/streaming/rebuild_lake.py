"""The lake's segments of the stream made again in place, from the messages that the broker still has.

Belongs here: which segments are kept, written again or made, and which stay because nothing better can be had. Does
not: stores that are cleared and filled (rebuild.py), rows and files of a segment (sinks/lake_files.py).
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.lake.segments import Segment
from payments_platform.lake.storage import ANY, Storage
from payments_platform.streaming.events import decode
from payments_platform.streaming.rebuild import Progress
from payments_platform.streaming.sinks.handler import Clock, now
from payments_platform.streaming.sinks.lake_files import first_hour, rows_of, written
from payments_platform.streaming.sinks.lake_topic import require_same_topic
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

Messages = Callable[[int, int, int], Iterator[pl.DataFrame]]
"""The messages of a partition with offsets in ``[start, end)``."""
Kept = Callable[[int], tuple[int, int]]
_TOPIC: Final = ANALYTICS_TRANSACTIONS
_NO_ROWS: Final = pl.DataFrame(schema=RAW_TRANSACTIONS_STREAM.schema)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remade:
    """What a rebuild of the lake did: segments found right, written again, and made where one was missing.

    ``left``: differ from the topic, or could not be compared, and stay because the topic has less of them.
    """

    kept: int
    replaced: int
    made: int
    left: int = 0


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

    def __init__(self, storage: Storage, messages: Messages, kept: Kept, records: int, clock: Clock = now) -> None:
        """``kept`` asks the broker for the first offset of a partition that it still has, and for the next to come.

        A hole is filled by segments of ``records`` messages at most.
        """
        self._storage, self._messages, self._ask = storage, messages, kept
        self._records, self._clock = records, clock
        self._kept = self._replaced = self._made = self._left = 0

    def run(self, committed: Mapping[int, int], progress: Progress) -> Remade:
        """``committed`` is where the worker stands in each partition. Raises TopicMadeAnew, with nothing changed."""
        for partition, end in segments.ends(self._storage, _TOPIC).items():
            require_same_topic(self._storage, (_TOPIC, partition), end, self._ask(partition)[1])
        for partition, end in sorted(committed.items()):
            for span in self._spans(partition, self._ask(partition)[0], end):
                if span.segment is None:
                    self._fill(partition, span)
                else:
                    self._make_again(partition, span.segment)
                progress(span.end - span.start)
        return Remade(self._kept, self._replaced, self._made, self._left)

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
        rows = pl.concat([_NO_ROWS, *parts])
        is_intact = segments.is_intact(self._storage, old)
        if reason := self._poorer(partition, old, rows.height, is_intact):
            _log.warning("%s stays as it is: %s", old.path, reason)
            self._left += 1
            return
        new = written(self._storage, (_TOPIC, partition), (old.start, old.end), rows, self._clock())
        if is_intact and new.holds_the_same(old):
            self._storage.remove(new.file)
            self._kept += 1
            return
        self._storage.replace(old.path, segments.as_json(new), expected=ANY)
        self._storage.remove(old.file)
        self._replaced += 1

    def _poorer(self, partition: int, old: Segment, rows: int, is_intact: bool) -> str | None:
        """Why the messages read just now may be less than what the segment holds; None when they are not."""
        # Asked after reading: the broker may have removed messages since the rebuild began.
        if (oldest := self._ask(partition)[0]) > old.start:
            return f"the broker has removed messages before offset {oldest} meanwhile"
        if not rows:
            return "the broker has no event of these offsets"
        if is_intact and rows < old.rows:
            return f"it is intact and holds {old.rows} rows, the broker has {rows} of them"
        return None

    def _fill(self, partition: int, span: _Span) -> None:
        """Segments that join from one edge of a hole to the other. Where no message was, there is none to write."""
        start, rows = span.start, _NO_ROWS
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
        if self._ask(partition)[0] > start:
            # What the broker removed before it was read stays a hole that shows.
            start = int(run["topic_offset"][0])
        reached = end if run.height == rows.height else int(rows["topic_offset"][run.height])
        made = written(self._storage, (_TOPIC, partition), (start, reached), run, self._clock())
        segment = segments.commit(self._storage, made)
        self._made += segment == made
        return segment.end, rows.filter(pl.col("topic_offset") >= segment.end)
