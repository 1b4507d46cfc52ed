"""Dead letters on the wire: a refused message goes to ``<topic>.dlq`` as it was, with why in its headers.

Belongs here: writing letters, reading a message of a ``.dlq`` topic as one. Does not: faults and states
(contracts/dead_letters.py), what becomes of letters (dead_letter_ledger.py, dead_letter_replay.py).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from payments_platform.contracts.dead_letters import Fault
from payments_platform.contracts.streams import LARGEST_CHANGE
from payments_platform.streaming.events import REFUSAL
from payments_platform.streaming.message_version import version_of
from payments_platform.streaming.ndjson import NO_OBJECT
from payments_platform.vocabulary import dead_letters

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

FAULT: Final = "fault"
# A larger value stays behind, and the letter says how large it was: a topic refuses more, and inside a transaction that
# refusal would cost the whole batch. Capture sends no larger change, so every change is kept whole.
KEPT_BYTES: Final = LARGEST_CHANGE
# A message that was written again names the letter it comes from; for people who look at the topic.
REPLAY_OF: Final = "replay.of"
_LEFT_OUT: Final = "left_out_bytes"
# The payment and version that a value told which stayed behind, so that nobody looks for them in a store.
LEFT_OUT_VERSION: Final = ("left_out_payment", "left_out_version")

LETTERS: Final = pl.Schema(
    {
        "consumer": pl.String(),
        "source_topic": pl.String(),
        "source_partition": pl.Int32(),
        "source_offset": pl.Int64(),
        "source_at": pl.Datetime("ms", "UTC"),
        FAULT: pl.String(),
        REFUSAL: pl.String(),
        "attempt": pl.Int32(),
        "failed_at": pl.Datetime("us", "UTC"),
        _LEFT_OUT: pl.Int64(),
        **dict(zip(LEFT_OUT_VERSION, (pl.String(), pl.Int32()), strict=True)),
        "letter_topic": pl.String(),
        "letter_partition": pl.Int32(),
        "letter_offset": pl.Int64(),
        "key": pl.Binary(),
        "value": pl.Binary(),
    }
)


class DeadLetterWriter:
    """Writes the letters of one consumer. Nothing refused is lost: a letter that the broker did not take raises."""

    def __init__(self, producer: "Producer", consumer: str) -> None:
        self._producer, self._consumer = producer, consumer
        self._waiting = 0
        self._failure: KafkaError | None = None

    def bury(self, refused: pl.DataFrame, *, failed_at: datetime, attempt: int = 1) -> int:
        """Write a letter for each refused message; return how many.

        ``refused`` has the columns of a message, ``refusal`` and, unless the reader of JSON refused it, ``fault``. The
        caller makes them durable before it gives up the offsets: in its transaction, or by ``settle``. A worker that
        is killed between the two writes a letter again, which is the same letter to all that read them.
        """
        for message in _with_fault(refused).iter_rows(named=True):
            value, size = message["value"], len(message["value"] or b"") + len(message["key"] or b"")
            headers = _headers(message, self._consumer, failed_at, attempt)
            if size > KEPT_BYTES:
                value, headers = None, {**headers, _LEFT_OUT: str(size), **_version(value)}
            self._produce(dead_letters(message["topic"]), message["key"], value, headers)
        return refused.height

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until the broker has them all. Raises KafkaException when it has not: give up no offset then."""
        from confluent_kafka import KafkaError, KafkaException

        self._producer.flush(seconds)
        failure, waiting = self._failure, self._waiting
        self._failure, self._waiting = None, 0
        if failure is not None:
            raise KafkaException(failure)
        if waiting:
            text = f"{waiting} dead letters were not acknowledged within {seconds:.0f} s"
            raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT, text))

    def _produce(self, topic: str, key: bytes | None, value: bytes | None, headers: dict[str, str]) -> None:
        """Produce, waiting while the client's queue is full: thousands of letters may come at once."""
        encoded: list[tuple[str, str | bytes | None]] = [(name, text.encode()) for name, text in headers.items()]
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, headers=encoded, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._waiting += 1
                return

    def _delivered(self, error: "KafkaError | None", _: "Message") -> None:
        self._waiting -= 1
        self._failure = self._failure or error


def _with_fault(refused: pl.DataFrame) -> pl.DataFrame:
    if FAULT in refused.columns:
        return refused
    is_json = ~pl.col(REFUSAL).is_in(list(NO_OBJECT))
    fault = pl.when(is_json).then(pl.lit(Fault.TYPE.value)).otherwise(pl.lit(Fault.NOT_JSON.value))
    return refused.with_columns(fault.alias(FAULT))


def _headers(message: dict[str, Any], consumer: str, failed_at: datetime, attempt: int) -> dict[str, str]:
    return {
        "class": message[FAULT],
        "reason": message[REFUSAL] or "no reason was given",
        "attempt": str(attempt),
        "source.topic": message["topic"],
        "source.partition": str(message["partition"]),
        "source.offset": str(message["offset"]),
        "source.timestamp": message["timestamp"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "failed_at": failed_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "consumer": consumer,
    }


def _version(value: bytes | None) -> dict[str, str]:
    told = version_of(value or b"")
    return dict(zip(LEFT_OUT_VERSION, map(str, told), strict=True)) if told else {}


def letters(messages: "Sequence[Message]") -> pl.DataFrame:
    """Messages of ``.dlq`` topics as letters, in the order given.

    One without readable headers is no worker's: it is a letter of class ``unknown``, named by its own place.
    """
    return pl.DataFrame([_letter(message) for message in messages], schema=LETTERS, orient="row")


def _letter(message: "Message") -> dict[str, Any]:
    told = dict(message.headers() or [])
    place = {
        "letter_topic": message.topic(),
        "letter_partition": message.partition(),
        "letter_offset": message.offset(),
        "key": message.key(),
        "value": message.value(),
    }
    try:
        return {**_told({name: _text(value) for name, value in told.items()}), **place}
    except (KeyError, ValueError):
        return {**_untold(message), **place}


def _told(headers: dict[str, str]) -> dict[str, Any]:
    fault, (payment, version) = headers["class"], LEFT_OUT_VERSION
    return {
        "consumer": headers["consumer"],
        "source_topic": headers["source.topic"],
        "source_partition": int(headers["source.partition"]),
        "source_offset": int(headers["source.offset"]),
        "source_at": datetime.fromisoformat(headers["source.timestamp"]),
        FAULT: fault if fault in set(Fault) else Fault.UNKNOWN.value,
        REFUSAL: headers["reason"],
        "attempt": int(headers["attempt"]),
        "failed_at": datetime.fromisoformat(headers["failed_at"]),
        _LEFT_OUT: int(headers.get(_LEFT_OUT, "0")),
        payment: headers.get(payment),
        version: int(headers[version]) if version in headers else None,
    }


def _untold(message: "Message") -> dict[str, Any]:
    at = datetime.fromtimestamp(max(message.timestamp()[1], 0) / 1000, UTC)
    return {
        "consumer": "unknown",
        "source_topic": message.topic(),
        "source_partition": message.partition(),
        "source_offset": message.offset(),
        "source_at": at,
        FAULT: Fault.UNKNOWN.value,
        REFUSAL: "it has not the headers of a dead letter",
        "attempt": 1,
        "failed_at": at,
        _LEFT_OUT: 0,
    }


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
