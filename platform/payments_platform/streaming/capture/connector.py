"""The configuration of the change connector, as code.

Belongs here: every option of Debezium and Connect that capture sets, with its reason. Does not: sending it
(clients/connect.py, apply.py), the topics it writes to (streaming/topics.py), the publication (oltp/migrations).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from payments_platform.contracts.streams import LARGEST_CHANGE
from payments_platform.vocabulary import HEARTBEATS_PREFIX, OPS_CAPTURE

CONNECTOR: Final = "oltp-changes"
CONNECTOR_CLASS: Final = "io.debezium.connector.postgresql.PostgresConnector"
SLOT: Final = "payments_changes"
PUBLICATION: Final = "payments_changes"
HEARTBEAT_TABLE: Final = "capture_heartbeats"
SIGNAL_TABLE: Final = "capture_signals"
PREFIX: Final = "oltp"
FAST_RETRIES: Final = 3

# Who beats: the connector, and the guardian beside it.
BEAT: Final = (
    "UPDATE oltp.capture_heartbeats SET number = number + 1, beat_at = clock_timestamp(),"
    " seen = pg_current_snapshot()::text WHERE heartbeat_id = "
)
BY_CONNECTOR, BY_GUARDIAN = 1, 2
# The payment's key without its partition's column: what every consumer and the store's document are keyed by.
_MESSAGE_KEYS: Final = {"transactions": ("transaction_id",)}
# A vault token has no reader outside the source; the id of the token key is none of a consumer's business.
EXCLUDED_COLUMNS: Final = ("customers.token_key_id", "payment_methods.payment_method_token")


@dataclass(frozen=True)
class Source:
    """What differs between environments. ``password`` is a reference that Connect resolves, never the password."""

    host: str
    port: int
    database: str
    user: str
    password: str
    epoch: int
    largest_change: int = LARGEST_CHANGE


def configuration(source: Source, tables: Sequence[str]) -> dict[str, str]:
    """The connector's configuration for these tables of schema oltp. Values are text, as Connect's interface has them.

    Raises ValueError for a password that is no reference: Connect shows configurations to whoever asks.
    """
    if not (source.password.startswith("${") and source.password.endswith("}")):
        raise ValueError("the password of the capture role must be a reference to a config provider, ${provider:…}")
    return {**_reading(source, tables), **_VALUES, **_SNAPSHOTS, **_DELIVERY, **_RETRIES, **_naming(source)}


def _reading(source: Source, tables: Sequence[str]) -> dict[str, str]:
    keys = "; ".join(f"oltp.{table}:{','.join(_MESSAGE_KEYS[table])}" for table in tables if table in _MESSAGE_KEYS)
    return {
        "name": CONNECTOR,
        "connector.class": CONNECTOR_CLASS,
        "tasks.max": "1",  # one slot has one reader
        "database.hostname": source.host,
        "database.port": str(source.port),
        "database.dbname": source.database,
        "database.user": source.user,
        "database.password": source.password,
        "database.initial.statements": "SET timezone = 'UTC'",
        "plugin.name": "pgoutput",
        "slot.name": SLOT,
        "slot.failover": "true",
        "publication.name": PUBLICATION,
        "publication.autocreate.mode": "disabled",  # the migrations own it
        "publish.via.partition.root": "true",
        "table.include.list": ",".join(f"oltp.{table}" for table in (*tables, HEARTBEAT_TABLE)),
        "column.exclude.list": ",".join(f"oltp.{column}" for column in EXCLUDED_COLUMNS),
        "message.key.columns": keys,
        # A position behind the slot's is a gap: fail and say so. The default skips it in silence since PostgreSQL 15.
        "offset.mismatch.strategy": "trust_offset",
        "lsn.flush.mode": "connector",
        # A quiet source still moves the slot on, and each beat says what had been captured when it was made.
        "heartbeat.interval.ms": "1000",
        "heartbeat.action.query": f"{BEAT}{BY_CONNECTOR}",
        "poll.interval.ms": "50",  # how long an empty queue is waited for: part of each change's delay
        "max.batch.size": "4096",
        "max.queue.size": "16384",
        "max.queue.size.in.bytes": "67108864",
        "producer.override.max.request.size": str(source.largest_change),
        # Room for two of the largest, and never less than the producer has by itself.
        "producer.override.buffer.memory": str(max(32 * 2**20, 2 * source.largest_change)),
    }


def _naming(source: Source) -> dict[str, str]:
    """``oltp.<table>`` rather than ``oltp.oltp.<table>``, and the epoch in every value.

    The epoch travels with the record: whoever reads it again, however late, reads the epoch that it was captured under.
    """
    return {
        "topic.prefix": PREFIX,
        "topic.naming.strategy": "io.debezium.schema.SchemaRegexTopicNamingStrategy",
        "topic.regex": r"oltp\.oltp\.(.*)",
        "topic.replacement": "oltp.$1",
        "topic.key.enforce.uniqueness": "false",  # else a column naming the table joins each key
        "topic.heartbeat.prefix": HEARTBEATS_PREFIX,
        "notification.enabled.channels": "sink",
        "notification.sink.topic.name": OPS_CAPTURE,
        "transforms": "epoch",
        "transforms.epoch.type": "org.apache.kafka.connect.transforms.InsertField$Value",
        "transforms.epoch.static.field": "epoch",
        "transforms.epoch.static.value": str(source.epoch),
    }


# How a value is written. Nothing is lost: numeric as text with its scale, timestamptz as ISO 8601 in UTC with all its
# digits, jsonb as text.
_VALUES: Final[Mapping[str, str]] = {
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
    "value.converter.decimal.format": "NUMERIC",
    "decimal.handling.mode": "string",
    "time.precision.mode": "isostring",
    "binary.handling.mode": "base64",
    "hstore.handling.mode": "json",
    "interval.handling.mode": "string",
    # Never seen while every leaf has a FULL identity; the processor refuses to take it for a value.
    "unavailable.value.placeholder": "__debezium_unavailable_value",
    "include.unknown.datatypes": "true",
    "tombstones.on.delete": "true",  # compacted topics forget a deleted row
    "provide.transaction.metadata": "false",
    "extended.headers.enabled": "false",
    "skipped.operations": "t",  # truncation is refused at the source
}
# One way to read rows that are there already: a signalled, incremental snapshot beside the running stream. The first
# load, a repair and a new epoch all use it; it holds no transaction open and goes on where a restart left it.
_SNAPSHOTS: Final[Mapping[str, str]] = {
    "snapshot.mode": "no_data",
    "signal.enabled.channels": "source",
    "signal.data.collection": f"oltp.{SIGNAL_TABLE}",
    "incremental.snapshot.chunk.size": "8192",
    "incremental.snapshot.watermarking.strategy": "insert_delete",  # the signal table does not grow
}
_DELIVERY: Final[Mapping[str, str]] = {
    "exactly.once.support": "required",
    "transaction.boundary": "poll",
    "producer.override.acks": "all",
    "producer.override.compression.type": "lz4",
    "producer.override.linger.ms": "5",
    "producer.override.batch.size": "262144",
    "producer.override.delivery.timeout.ms": "120000",
    # Readers of committed records wait for the transaction of a connector that was killed: 10 s, not the default's 60.
    "producer.override.transaction.timeout.ms": "10000",
    "errors.tolerance": "none",
}
# Quick ones here, then the task fails and capture's own supervision restarts it with growing pauses (watch.py).
_RETRIES: Final[Mapping[str, str]] = {
    "errors.max.retries": str(FAST_RETRIES),
    "errors.retry.delay.initial.ms": "300",
    "errors.retry.delay.max.ms": "2000",
    "retriable.restart.connector.wait.ms": "1000",
    "slot.max.retries": str(FAST_RETRIES),
    "slot.retry.delay.ms": "1000",
    # A session of a connector that was killed keeps the slot until the server notices: this long at most.
    "status.update.interval.ms": "5000",
}
