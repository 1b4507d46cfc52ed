"""Kafka: consumers, producers and the admin client, each with the settings that losing nothing needs.

Belongs here: how each kind of client is configured, and why. Does not: which brokers (settings), any loop (streaming/).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from payments_platform.contracts.streams import LARGEST_MESSAGE

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient

# An orphaned transaction blocks every reader of the topic for this long; Kafka's default is 60 seconds.
TRANSACTION_SECONDS = 10
SESSION_SECONDS = 10
# Brokers that were unreachable again within this time of the last word about it are in the same outage still.
_SAME_OUTAGE_SECONDS = 60.0
_log = logging.getLogger("payments.kafka")


class Outages:
    """Tells of each outage once: what librdkafka says itself is a line an attempt, of each client and broker.

    Clients of one process share an object, and go on trying whatever is told.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is away yet."""
        self._clock, self._heard = clock, dict[str, float]()

    def told_by(self, servers: str) -> Mapping[str, Any]:
        """Settings of a client that keeps quiet but for this."""
        return {
            "log_level": 2,
            "reconnect.backoff.ms": 500,
            "reconnect.backoff.max.ms": 2000,
            "error_cb": partial(self._hear, servers),
        }

    def _hear(self, servers: str, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":
            return
        now, before = self._clock(), self._heard.get(servers)
        self._heard[servers] = now
        if before is None or now - before > _SAME_OUTAGE_SECONDS:
            _log.warning("Kafka at %s is away; clients go on trying. See: payments status", servers)


_OUTAGES = Outages()


def consumer(
    servers: str, group: str, *, instance: str | None = None, more: Mapping[str, Any] | None = None
) -> Consumer:
    """A consumer of committed messages that commits nothing itself. An ``instance`` that restarts keeps its place."""
    from confluent_kafka import Consumer

    return Consumer(
        {
            **_OUTAGES.told_by(servers),
            "bootstrap.servers": servers,
            "group.id": group,
            **({"group.instance.id": instance} if instance else {}),
            "isolation.level": "read_committed",
            # An offset is given up only after what it brought is in effect.
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": SESSION_SECONDS * 1000,
            "partition.assignment.strategy": "cooperative-sticky",
            # Latency first: the broker answers as soon as there is anything.
            "fetch.min.bytes": 1,
            "fetch.wait.max.ms": 50,
            **(more or {}),
        }
    )


def producer(servers: str, *, transactional_id: str | None = None, more: Mapping[str, Any] | None = None) -> Producer:
    """An idempotent producer whose messages every in-sync replica has; with an id, one that writes transactions."""
    from confluent_kafka import Producer

    transactional = {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
    }
    return Producer(
        {
            **_OUTAGES.told_by(servers),
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "acks": "all",
            # The partition of a key is Java's, so that every writer agrees where a key lives.
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
            # How large a message may be is the topic's to say, not the client's.
            "message.max.bytes": LARGEST_MESSAGE,
            **(transactional if transactional_id else {}),
            **(more or {}),
        }
    )


def admin(servers: str) -> AdminClient:
    """The client that creates, describes and deletes topics."""
    from confluent_kafka.admin import AdminClient

    return AdminClient({**_OUTAGES.told_by(servers), "bootstrap.servers": servers})
