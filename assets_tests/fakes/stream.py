"""A consumer group in memory: topics as lists, and a source with the verbs of the real one.

Belongs here: what the loop's unit tests need of a broker. Does not: any Kafka.
"""

from collections.abc import Collection
from datetime import UTC, datetime

import polars as pl

from payments_platform.streaming.messages import MESSAGES
from payments_platform.streaming.positions import Partition, Positions
from payments_platform.streaming.source import Listener, Pace

Stored = tuple[bytes | None, bytes | None]


class MemoryBroker:
    """What outlives a worker: the messages, and what each group has committed."""

    def __init__(self, topics: dict[str, int]) -> None:
        self.log: dict[Partition, list[Stored]] = {(t, n): [] for t, count in topics.items() for n in range(count)}
        self.committed: dict[str, Positions] = {}

    def append(self, topic: str, key: bytes | None, value: bytes | None, partition: int = 0) -> None:
        self.log[topic, partition].append((key, value))


class MemorySource:
    """One member that holds every partition, or those that ``move`` leaves it."""

    def __init__(self, broker: MemoryBroker, group: str, topics: Collection[str]) -> None:
        self.broker, self._group = broker, group
        self._wanted: list[Partition] | None = [name for name in broker.log if name[0] in topics]
        self._held: dict[Partition, int] = {}
        self._listener: Listener | None = None
        self._losing = self._paused = self.closed = False
        self.polls = 0

    def move(self, to: Collection[Partition], *, losing: bool = False) -> None:
        """Have the next poll change the assignment to these partitions."""
        self._wanted, self._losing = list(to), losing

    def open(self, listener: Listener) -> None:
        self._listener = listener

    def poll(self, pace: Pace) -> pl.DataFrame:
        self.polls += 1
        self._rebalance()
        rows: list[tuple[object, ...]] = []
        for (topic, number), position in self._held.items():
            stored = [] if self._paused else self.broker.log[topic, number][position:][: pace.batch - len(rows)]
            for offset, (key, value) in enumerate(stored, position):
                rows.append((topic, number, offset, datetime.now(UTC), key, value))
            self._held[topic, number] = position + len(stored)
        return pl.DataFrame(rows, schema=MESSAGES, orient="row")

    def commit(self, positions: Positions) -> None:
        assert positions.keys() <= self._held.keys()
        self.broker.committed.setdefault(self._group, {}).update(positions)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def assignment(self) -> Collection[Partition]:
        return list(self._held)

    def lags(self) -> dict[Partition, int]:
        return {name: len(self.broker.log[name]) - position for name, position in self._held.items()}

    def close(self) -> None:
        self.closed = True

    def _rebalance(self) -> None:
        if self._wanted is None:
            return
        wanted, self._wanted = self._wanted, None
        assert self._listener
        if gone := [name for name in self._held if name not in wanted]:
            (self._listener.lost if self._losing else self._listener.revoked)(gone)
        come = [name for name in wanted if name not in self._held]
        starts = self._listener.assigned(come) if come else {}
        committed = self.broker.committed.get(self._group, {})
        self._held = {name: self._held.get(name, starts.get(name, committed.get(name, 0))) for name in wanted}
