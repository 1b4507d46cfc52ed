"""Kafka transactions: messages and input offsets in effect together, or not at all.

Belongs here: the transactional producer, its errors. Does not: what is written (outgoing.py says it), client settings
(clients/kafka.py).
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from payments_platform.streaming.dead_letters import DeadLetterWriter
from payments_platform.streaming.deadline import within
from payments_platform.streaming.failures import MessagesRefused, TransactionAborted, fenced
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.streaming.parts import Parts
from payments_platform.streaming.positions import Positions

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer

_log = logging.getLogger(__name__)
_SECONDS: Final = 10.0
_TRIES: Final = 6
# A request gives up by itself after 30 s at most. One that does not is stuck in the client.
_STUCK_SECONDS: Final = 45.0
_REFUSALS: Final = frozenset(
    "MSG_SIZE_TOO_LARGE RECORD_LIST_TOO_LARGE INVALID_MSG_SIZE INVALID_RECORD INVALID_TIMESTAMP POLICY_VIOLATION"
    " TOPIC_AUTHORIZATION_FAILED GROUP_AUTHORIZATION_FAILED TRANSACTIONAL_ID_AUTHORIZATION_FAILED".split()
)


class KafkaOutlet:
    """One transaction for each ``write``. A second process of the same slot makes this one's writes fail.

    Readers of committed messages see a batch whole. Killed anywhere, the batch is undone by the successor, which reads
    it again from the offsets that were given up with the last whole one.
    """

    def __init__(
        self, producer: "Producer", group: Callable[[], Any], consumer: str, parts: Parts | None = None
    ) -> None:
        """``group`` returns the input consumer's membership, which the broker checks against a zombie's."""
        self._producer, self._group, self._parts = producer, group, parts or Parts()
        self._letters = DeadLetterWriter(producer, consumer)
        # Ends what a process of the same slot left open.
        self._call(lambda: producer.init_transactions(3 * _SECONDS))

    def write(self, outgoing: Sequence[Outgoing], refused: pl.DataFrame, positions: Positions) -> None:
        from confluent_kafka import KafkaException

        try:
            self._call(self._producer.begin_transaction)
            with self._parts.time("produce"):
                for messages in outgoing:
                    self._produce(messages)
                self._letters.bury(refused, failed_at=datetime.now(UTC))
            with self._parts.time("commit"):
                self._give_up(positions)
                self._call(lambda: self._producer.commit_transaction(_SECONDS))
        except KafkaException as error:
            self._undo(error)

    def close(self) -> None:
        """Nothing is waited for: a transaction that is open is ended by the successor, or by the broker in time."""

    def _produce(self, messages: Outgoing) -> None:
        batch = [{"key": key, "value": value} for key, value in zip(messages.keys, messages.values, strict=True)]
        queued = self._producer.produce_batch(messages.topic, batch, partition=messages.partition)
        if queued == len(batch):
            return
        for message in batch:
            if "_error" in message:  # most likely the queue was full: these go one by one as room is made, in order
                self._produce_one(messages, message)

    def _produce_one(self, messages: Outgoing, message: dict[str, Any]) -> None:
        while True:
            try:
                self._producer.produce(messages.topic, message["value"], message["key"], messages.partition)
            except BufferError:
                self._producer.poll(0.05)
            else:
                return

    def _give_up(self, positions: Positions) -> None:
        """The broker checks the membership with these alone: an empty list never leaves the client."""
        from confluent_kafka import TopicPartition

        if positions:
            offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()]
            self._call(lambda: self._producer.send_offsets_to_transaction(offsets, self._group(), _SECONDS))

    def _call(self, request: Callable[[], object]) -> None:
        """Make a request that may be repeated, as the client says by its error."""
        from confluent_kafka import KafkaException

        for attempt in range(1, _TRIES + 1):
            try:
                with within(_STUCK_SECONDS, "Kafka is away or its client is stuck: a request of the transaction"):
                    request()
            except KafkaException as error:
                reason: KafkaError = error.args[0]
                if not reason.retriable() or attempt == _TRIES:
                    raise
                _log.warning("Kafka does not answer; a request of the transaction is repeated: %s", reason.str())
            else:
                return

    def _undo(self, error: Exception) -> None:
        """Abort, and say whether the batch may be written again."""
        from confluent_kafka import KafkaException

        reason: KafkaError = error.args[0]
        if not reason.fatal():
            try:
                self._call(lambda: self._producer.abort_transaction(_SECONDS))
            except KafkaException as second:
                reason = second.args[0]
            else:
                said = f"{reason.str()} ({reason.name()})"
                if reason.name() in _REFUSALS:
                    raise MessagesRefused(f"Kafka refuses what this worker writes: {said}. Mend its cause.") from error
                raise TransactionAborted(f"Kafka undid the batch: {said}") from error
        raise fenced(reason) from error
