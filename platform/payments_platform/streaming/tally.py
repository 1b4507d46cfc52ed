"""The open counters of one worker: what has been counted, and what is due to be written.

Belongs here: keeping counts between checkpoints. Does not: counting (counters.py), what topics hold (counter_state.py).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from payments_platform.contracts.counters import COUNTERS
from payments_platform.streaming import counter_state
from payments_platform.streaming.counter_state import Checkpoint, Restored
from payments_platform.streaming.counters import Clock, add_up, count, is_open
from payments_platform.streaming.outgoing import Outgoing


@dataclass(frozen=True)
class Tally:
    """Counters as they were last written (``written``), what was counted since, and how far the input was counted.

    Never changed, only replaced: what a transaction that is undone had counted is simply not taken over. Counters are
    written now and then, not with each batch; a restart counts again from the last checkpoint's offset.
    """

    written: pl.DataFrame
    since: tuple[pl.DataFrame, ...]
    clocks: Mapping[int, Clock]
    offsets: Mapping[int, int]

    @classmethod
    def of(cls, restored: Restored) -> "Tally":
        """Take up where the state topic ends."""
        clocks = {partition: point.clock for partition, point in restored.checkpoints.items()}
        offsets = {partition: point.offset for partition, point in restored.checkpoints.items()}
        return cls(restored.counters, (), clocks, offsets)

    def counted(self, changes: pl.DataFrame, offsets: Mapping[int, int]) -> "Tally":
        """With these changes; ``offsets`` is where the input stands after them."""
        added, clocks = count(changes, self.clocks)
        since = self.since if added.is_empty() else (*self.since, added)
        return Tally(self.written, since, clocks, {**self.offsets, **offsets})

    def checkpoint(self) -> tuple["Tally", list[Outgoing]]:
        """The tally with everything written, and the messages that write it: totals that changed, and state."""
        fresh = add_up(*self.since) if self.since else pl.DataFrame(schema=COUNTERS)
        totals = add_up(self.written, fresh)
        changed = totals.join(fresh, on=counter_state.KEY, how="semi", nulls_equal=True)
        kept = totals.filter(is_open(self.clocks))
        touched = pl.concat([changed, totals.filter(~is_open(self.clocks))])
        points = {number: Checkpoint(at, self.clocks.get(number, Clock())) for number, at in self.offsets.items()}
        messages = [counter_state.totals(changed), *counter_state.state(kept, touched, points)]
        return Tally(kept, (), self.clocks, self.offsets), messages

    def joined(self, other: "Tally") -> "Tally":
        """With another's partitions beside one's own."""
        return Tally(
            pl.concat([self.written, other.written]),
            (*self.since, *other.since),
            {**self.clocks, **other.clocks},
            {**self.offsets, **other.offsets},
        )

    def without(self, partitions: Collection[int]) -> "Tally":
        """Less these partitions."""
        stays = ~pl.col("partition").is_in(list(partitions))
        return Tally(
            self.written.filter(stays),
            tuple(part.filter(stays) for part in self.since),
            {number: clock for number, clock in self.clocks.items() if number not in partitions},
            {number: at for number, at in self.offsets.items() if number not in partitions},
        )
