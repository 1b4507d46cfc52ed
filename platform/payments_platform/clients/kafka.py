"""Kafka: consumers, producers and the admin client, each with the settings that losing nothing needs.

Belongs here: how each kind of client is configured, and why. Does not: which brokers (settings), any loop (streaming/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from payments_platform.contracts.streams import LARGEST_MESSAGE

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient

# An orphaned transaction blocks every reader of the topic for this long; Kafka's default is 60 seconds.
TRANSACTION_SECONDS = 10
SESSION_SECONDS = 10
# For who looks whether a broker is there, and says itself that it is not: no line for each of ten attempts a second.
QUIET: Mapping[str, Any] = {"log_level": 2, "reconnect.backoff.ms": 500, "reconnect.backoff.max.ms": 2000}


def consumer(
    servers: str, group: str, *, instance: str | None = None, more: Mapping[str, Any] | None = None
) -> Consumer:
    """A consumer of committed messages that commits nothing itself. An ``instance`` that restarts keeps its place."""
    from confluent_kafka import Consumer

    return Consumer(
        {
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


def admin(servers: str, *, more: Mapping[str, Any] | None = None) -> AdminClient:
    """The client that creates, describes and deletes topics."""
    from confluent_kafka.admin import AdminClient

    return AdminClient({"bootstrap.servers": servers, **(more or {})})
