"""What a worker does with messages: the one class to fill for a new sink or processor.

Belongs here: the verbs between the loop and the work. Does not: the loop (worker.py), any work.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection

import polars as pl

from payments_platform.streaming.positions import Partition, Positions


class Handler(ABC):
    """The work of a worker. One thread calls it; only ``handle`` must be written.

    Three verbs return positions: per partition, the offset below which everything is durable now. The loop commits
    these and nothing else, so a handler that holds messages leaves them out, and loses none when it is killed. One
    that commits by itself, inside a transaction, always returns nothing.
    Raise an error that operations/errors.py calls transient to be called again after a pause, with the same messages
    (less those of partitions that left). So a call that raises must be repeatable. Any other error ends the worker.
    """

    @abstractmethod
    def handle(self, messages: pl.DataFrame) -> Positions:
        """Take a batch (columns of ``MESSAGES``): in order within a partition, never empty. Return what is durable.

        ``positions.ends(messages)`` when all of it was written.
        """

    def start(self, partitions: Collection[Partition]) -> Positions:  # noqa: ARG002 - a verb to override
        """Partitions came. Restore what belongs to them; return where to read on instead of at the committed offset."""
        return {}

    def tick(self) -> Positions:
        """Called after every batch, and at least every ``Pace.idle_seconds``: write what is due by time."""
        return {}

    def drain(self, partitions: Collection[Partition]) -> Positions:  # noqa: ARG002 - a verb to override
        """The partitions are about to leave in good order: make durable what is held of them. Called once, no retry."""
        return {}

    def forget(self, partitions: Collection[Partition]) -> None:  # noqa: B027 - most handlers hold nothing
        """The partitions have left: drop what is held of them; another worker reads it from the committed offset."""

    def close(self) -> None:  # noqa: B027 - most handlers hold nothing
        """Release connections. Called once, last, whatever happened."""
