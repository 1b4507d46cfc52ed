"""What a worker writes to Kafka in one transaction, and the promise of whoever writes it.

Belongs here: the values and the protocol. Does not: the transaction (transactions.py), what is written (route.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from payments_platform.streaming.positions import Positions


@dataclass(frozen=True)
class Outgoing:
    """Messages for one partition of one topic, in order. A value of None deletes the key in a compacted topic."""

    topic: str
    partition: int
    keys: Sequence[str | bytes | None]
    values: Sequence[str | bytes | None]


class Outlet(Protocol):
    """Writes to topics, and gives up input offsets, together or not at all."""

    def write(self, outgoing: Sequence[Outgoing], refused: pl.DataFrame, positions: Positions) -> None:
        """Write the messages, a dead letter for each refused one, and commit the positions of the input.

        Positions that were committed before may come again: with them a worker proves that it is still of its group.
        Raises an error that operations/errors.py calls transient when nothing of it has been done and the same call
        may be made again; any other error when the process must start anew.
        """

    def close(self) -> None:
        """Release the connection; what is not committed is undone."""
