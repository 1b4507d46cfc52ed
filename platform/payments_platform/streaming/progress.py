"""What the processor knows after a transaction, what one transaction writes, and one that is being written.

Belongs here: these values and taking them back. Does not: computing them (processor.py), writing (transactions.py).
"""

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import polars as pl

from payments_platform.contracts.counters import Drift
from payments_platform.streaming import partials
from payments_platform.streaming.counter_state import Restored
from payments_platform.streaming.dimension_feed import REFUSED
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.streaming.positions import Partition, Positions
from payments_platform.streaming.tally import Tally


@dataclass(frozen=True)
class Remembered:
    """What the state topics hold of some partitions, and the input's offsets that belong to it."""

    held: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=partials.HELD))
    counters: Restored = field(default_factory=Restored)
    committed: Positions = field(default_factory=dict)


class Memory(Protocol):
    """Where a worker finds what its predecessor left."""

    def recall(self, partitions: Collection[Partition]) -> Remembered:
        """Read the state of these partitions, as of the input's committed offsets."""


@dataclass(frozen=True)
class Known:
    """What follows from all input so far: waiting events, counters, offsets; and of dimensions, what is new since.

    ``customers`` and ``merchants`` came or changed, ``refused`` rows of theirs are not told yet.
    """

    held: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=partials.HELD))
    tally: Tally = field(default_factory=lambda: Tally.of(Restored()))
    committed: Mapping[int, int] = field(default_factory=dict)
    drift: frozenset[Drift] = frozenset()
    customers: frozenset[str] = frozenset()
    merchants: frozenset[str] = frozenset()
    refused: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REFUSED))

    def joined(self, more: Remembered) -> "Known":
        """With a predecessor's partitions. Whoever waits may have been completed while nobody held the partition."""
        return replace(
            self,
            held=pl.concat([self.held, more.held]),
            tally=self.tally.joined(Tally.of(more.counters)),
            committed={**self.committed, **{number: offset for (_, number), offset in more.committed.items()}},
            customers=self.customers | set(more.held["customer_id"]),
        )

    def without(self, partitions: Collection[int]) -> "Known":
        """Less these partitions."""
        return replace(
            self,
            held=self.held.filter(~pl.col("partition").is_in(list(partitions))),
            tally=self.tally.without(partitions),
            committed={number: at for number, at in self.committed.items() if number not in partitions},
        )

    def learned(self, customers: Collection[str], merchants: Collection[str], refused: pl.DataFrame) -> "Known":
        """With dimension rows that came."""
        return replace(
            self,
            customers=self.customers | set(customers),
            merchants=self.merchants | set(merchants),
            refused=pl.concat([self.refused, refused]),
        )


@dataclass(frozen=True)
class Step:
    """What one transaction writes, and what is known when it is in effect."""

    outgoing: list[Outgoing]
    refused: pl.DataFrame
    positions: Positions
    after: Known
    new_drift: frozenset[Drift]
    fresh: pl.DataFrame
    is_checkpoint: bool


@dataclass(frozen=True)
class Pending:
    """A step that is being written: what it was made of, in case it is undone. The future tells when it was done."""

    step: Step
    messages: pl.DataFrame
    before: Known
    written: "Future[datetime]"
