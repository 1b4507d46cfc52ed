"""The compacted topics of customers and merchants, read whole before anything is joined, then followed.

Belongs here: reading them. Does not: what is kept of them (dimensions.py), joining (enrich.py).
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl

from payments_platform.streaming.dead_letters import FAULT
from payments_platform.streaming.dimensions import Dimension
from payments_platform.streaming.envelope import decode
from payments_platform.streaming.events import REFUSAL
from payments_platform.streaming.messages import MESSAGES, frame_of
from payments_platform.streaming.reading import BrokerAway
from payments_platform.streaming.restore import read_to_end
from payments_platform.vocabulary import topic

if TYPE_CHECKING:
    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient

_log = logging.getLogger(__name__)
_BATCH: Final = 10_000
_SECONDS: Final = 10.0
REFUSED: Final = pl.Schema({**MESSAGES, FAULT: pl.String(), REFUSAL: pl.String()})


class Feed(Protocol):
    """Where changes of dimensions come from."""

    def load(self) -> pl.DataFrame:
        """All messages up to the present end. Called once, first."""

    def poll(self) -> pl.DataFrame:
        """Messages that came since, without waiting; none most of the time."""

    def close(self) -> None:
        """Release the connection."""


class KafkaFeed:
    """The topics of some tables, every partition of them, outside any group: each worker needs all."""

    def __init__(self, consumer: "Consumer", client: "AdminClient", tables: Sequence[str]) -> None:
        """``consumer`` has ``enable.partition.eof`` on."""
        self._consumer, self._client, self._tables = consumer, client, tables

    def load(self) -> pl.DataFrame:
        """Raises BrokerAway while one of the topics is not there: joined without it, every event would be partial."""
        names = [topic(table) for table in self._tables]
        missing = set(names) - self._consumer.list_topics(timeout=_SECONDS).topics.keys()
        if missing:
            raise BrokerAway(
                f"Topic {', '.join(sorted(missing))} is not there yet. Apply capture: payments capture apply"
            )
        messages = read_to_end(self._consumer, self._client, names)
        _log.info("read %d messages of %s", messages.height, ", ".join(names))
        return messages

    def poll(self) -> pl.DataFrame:
        messages = self._consumer.consume(_BATCH, 0.0)
        return frame_of([message for message in messages if message.error() is None])

    def close(self) -> None:
        self._consumer.close()


def apply(messages: pl.DataFrame, dimensions: Sequence[Dimension]) -> tuple[list[set[str]], pl.DataFrame]:
    """Take messages into their dimensions. Returns the keys that came into each, and what was refused."""
    came, refused = [], [pl.DataFrame(schema=REFUSED)]
    for dimension in dimensions:
        own = messages.filter(pl.col("topic") == topic(dimension.shape.table))
        if own.is_empty():
            came.append(set[str]())
            continue
        decoded = decode(own, dimension.shape)
        came.append(dimension.apply(decoded.changes))
        refused.append(decoded.refused.select(REFUSED.names()))
    return came, pl.concat(refused)
