"""The lake sink: messages of analytics.transactions as Parquet segments in raw/transactions_stream.

Belongs here: gathering messages until they become a segment. Does not: a segment's rows and file (lake_files.py), its
manifest (lake/segments.py), the loop (worker.py).
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from payments_platform.lake import segments
from payments_platform.lake.storage import Storage
from payments_platform.streaming.events import decode
from payments_platform.streaming.handler import Handler
from payments_platform.streaming.positions import Partition, Positions, ends
from payments_platform.streaming.sinks.handler import Clock, Refuse, now
from payments_platform.streaming.sinks.lake_files import committed, first_hour, rows_of
from payments_platform.streaming.sinks.lake_topic import made_anew, require_same_topic

_log = logging.getLogger(__name__)
_MOMENT: Final = timedelta(seconds=2)


@dataclass(frozen=True)
class Flush:
    """When what was gathered becomes a segment: at so many messages of a partition, or after so long (``_since``)."""

    records: int = 10_000
    age: timedelta = timedelta(minutes=5)


@dataclass
class _Gathered:
    """What a worker holds of one partition: messages of ``[start, end)``, not durable yet.

    ``read``: where the messages that it got and handled end.
    """

    start: int
    end: int
    read: int
    since: datetime | None = None
    events: list[pl.DataFrame] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(part.height for part in self.events)


class LakeHandler(Handler):
    """Gathers messages per partition, and commits them as segments that join without hole or overlap.

    A position is durable when its segment is committed, and not before: what a killed worker held is read again. A
    partition starts where its last segment ends, not where the group last committed: between the two lies what would
    be lost or doubled.
    """

    def __init__(
        self,
        storage: Storage,
        refuse: Refuse,
        kept: Callable[[Partition], tuple[int, int]],
        flush: Flush | None = None,
        clock: Clock = now,
    ) -> None:
        """``kept`` asks the broker for the first offset of a partition that it still has, and for the next to come."""
        self._storage, self._refuse, self._kept = storage, refuse, kept
        self._flush, self._clock = flush or Flush(), clock
        self._held: dict[Partition, _Gathered] = {}

    def start(self, partitions: Collection[Partition]) -> Positions:
        by_topic = {topic: segments.ends(self._storage, topic) for topic in {topic for topic, _ in partitions}}
        starts: Positions = {}
        for topic, number in partitions:
            (oldest, high), end = self._kept((topic, number)), by_topic[topic].get(number)
            require_same_topic(self._storage, (topic, number), end or 0, high)
            if end is not None and oldest > end:
                # Said by the segments too: they do not join there, and a check of them fails.
                _log.error("%s[%d]: offsets %d to %d are no longer at the broker", topic, number, end, oldest)
            start = starts[topic, number] = max(oldest, end or 0)
            self._held[topic, number] = _Gathered(start, end=start, read=start)
        return starts

    def handle(self, messages: pl.DataFrame) -> Positions:
        self._require_forward(messages)
        new = self._beyond_held(messages)
        events, refused = decode(new)
        self._refuse(refused)
        by_partition = events.partition_by("topic", "partition", as_dict=True)
        for partition, end in ends(new).items():
            held = self._held[partition]
            held.since, held.end = held.since or self._since(new, partition), end
            if partition in by_partition:
                held.events.append(rows_of(by_partition[partition]))
        durable = self._written(lambda held: held.rows >= self._flush.records)
        for partition, end in ends(messages).items():
            self._held[partition].read = end
        return durable

    def tick(self) -> Positions:
        due = self._clock() - self._flush.age
        return self._written(lambda held: held.since is not None and held.since <= due)

    def drain(self, partitions: Collection[Partition]) -> Positions:
        return self._written(lambda _: True, partitions)

    def forget(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._held.pop(partition, None)

    def _since(self, messages: pl.DataFrame, partition: Partition) -> datetime:
        """From when the first of a partition's messages counts as held: from its own time.

        One that is older than a moment has been waiting for a worker: from a moment ago, so that a backlog is gathered
        into segments like any other.
        """
        topic, number = partition
        theirs = messages.filter(pl.col("topic") == topic, pl.col("partition") == number)
        oldest: datetime = theirs.select(pl.col("timestamp").min()).item()
        now = self._clock()
        return min(now, max(oldest, now - min(_MOMENT, self._flush.age / 2)))

    def _require_forward(self, messages: pl.DataFrame) -> None:
        """A partition's offsets come once and in order; a topic made anew under a worker begins again before them.

        What is held is the old topic's then, and nobody else has it: it becomes segments first.
        """
        for topic, number, first in messages.group_by("topic", "partition").agg(pl.col("offset").min()).iter_rows():
            read = self._held[topic, number].read
            if first < read:
                self._written(lambda _: True)
                raise made_anew(self._storage, (topic, number), f"read up to offset {read}, it went back to {first}")

    def _beyond_held(self, messages: pl.DataFrame) -> pl.DataFrame:
        """The messages that are not held yet: a call that failed half-way comes again with all of them.

        Nor those that another writer's segment holds, which was first.
        """
        held = pl.DataFrame(
            [(topic, number, it.end) for (topic, number), it in self._held.items()],
            schema={"topic": pl.String, "partition": pl.Int32, "held_end": pl.Int64}, orient="row",
        )  # fmt: skip
        known = messages.join(held, on=("topic", "partition"), maintain_order="left")
        return known.filter(pl.col("offset") >= pl.col("held_end")).drop("held_end")

    def _written(
        self, is_due: Callable[[_Gathered], bool], partitions: Collection[Partition] | None = None
    ) -> Positions:
        """Commit what is due; return for each partition the end of what is durable."""
        asked = self._held.keys() if partitions is None else self._held.keys() & set(partitions)
        due = [name for name in asked if self._held[name].since is not None and is_due(self._held[name])]
        return {partition: self._commit(partition, self._held[partition]) for partition in due}

    def _commit(self, partition: Partition, held: _Gathered) -> int:
        """Commit what is held of a partition, hour by hour; return the end of what is durable.

        Of refused messages alone no segment is made: the next one begins where they do.
        """
        while held.events:
            rows = pl.concat(held.events)
            run = first_hour(rows)
            end = held.end if run.height == rows.height else rows["topic_offset"][run.height]
            segment = committed(self._storage, partition, (held.start, end), run, self._clock())
            # Another writer that was first may have reached further or less far than ours: go on where it ends.
            rest = rows.filter(pl.col("topic_offset") >= segment.end)
            held.start, held.events = segment.end, [] if rest.is_empty() else [rest]
        held.since, held.end = None, max(held.start, held.end)
        return held.start
