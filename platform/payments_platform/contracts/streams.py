"""Contracts of the speed layer: the processed payment event, the topics, and the event as the lake keeps it.

Belongs here: what travels on the topics that stores read, and how long each topic keeps it. Does not: Debezium's
envelope (streaming/envelope.py), what a store makes of an event, creating topics (streaming/).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.customers import CUSTOMERS
from payments_platform.contracts.dataset import Column, Dataset, Pii
from payments_platform.contracts.due import MaxAge
from payments_platform.contracts.lake_zones import RAW_RETENTION
from payments_platform.contracts.merchants import MERCHANTS
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.vocabulary import (
    ANALYTICS_TRANSACTIONS,
    FRAUD_CANDIDATES,
    FRAUD_SIGNALS,
    HEARTBEATS_OLTP,
    OPS_CAPTURE,
    OPS_METRICS,
    STATE_COUNTERS,
    STATE_DEAD_LETTERS,
    STATE_PARTIALS,
    dead_letters,
    topic,
)

ENRICHMENT: Final = Column(
    "enrichment",
    pl.Int8(),
    "0 when the customer or the merchant was not known yet, 1 when both were; third part of an event's position.",
    1,
)
PARTIAL, FULL = 0, 1
EVENT_POSITION: Final = ("epoch", "version", "enrichment")

# What the processor takes over from the row; the outcome of reference checks is known to the history alone.
_OF_THE_ROW: Final = tuple(
    column
    for column in RAW_TRANSACTIONS.columns
    if not column.name.startswith("is_") and column.name not in {"device_type", "os_name", "browser_name"}
)


def _joined(entity: str, dataset: Dataset, name: str) -> Column:
    column = dataset.column(name)
    text = f"{column.description} As the {entity} was when the event was processed; null in a partial event."
    return Column(f"{entity}_{name}", column.dtype, text, column.example, nullable=True, pii=column.pii)


CUSTOMER_COLUMNS: Final = tuple(
    _joined("customer", CUSTOMERS.raw, name) for name in ("country_code", "segment", "status")
)
MERCHANT_COLUMNS: Final = tuple(
    _joined("merchant", MERCHANTS.raw, name) for name in ("name", "mcc", "country_code", "status")
)
COMMITTED_AT: Final = Column(
    "committed_at", c.UTC_MICROS, "When the change was committed at the source, UTC; null in a snapshot.",
    c.UPDATED_AT.example, nullable=True,
)  # fmt: skip
PROCESSED_AT: Final = Column(
    "processed_at", c.UTC_MICROS, "When the processor emitted the event, UTC.", c.UPDATED_AT.example
)

# The value of a message on analytics.transactions: one JSON object with exactly these fields, times as ISO 8601 in UTC
# with six decimals and a Z, decimals as text. Its key is the change message's: {"transaction_id":"…"}.
EVENT_COLUMNS: Final = (
    *_OF_THE_ROW[:3],
    ENRICHMENT,
    *_OF_THE_ROW[3:],
    c.IS_DELETED,
    *CUSTOMER_COLUMNS,
    *MERCHANT_COLUMNS,
    COMMITTED_AT,
    PROCESSED_AT,
)
EVENT_SCHEMA: Final = pl.Schema({column.name: column.dtype for column in EVENT_COLUMNS})

TOPIC_PARTITION: Final = Column("topic_partition", pl.Int32(), "Partition of analytics.transactions it came from.", 0)
TOPIC_OFFSET: Final = Column("topic_offset", pl.Int64(), "Offset of the message in that partition.", 0)
APPENDED_AT: Final = Column(
    "appended_at", pl.Datetime("ms", "UTC"), "Kafka's timestamp of the message, UTC; its day and hour are the path's.",
    c.UPDATED_AT.example,
)  # fmt: skip

RAW_TRANSACTIONS_STREAM: Final = Dataset(
    key=("raw", "transactions_stream"),
    grain="One row per message of analytics.transactions: a version of a transaction, partial or full.",
    domain="payments",
    columns=(*EVENT_COLUMNS, TOPIC_PARTITION, TOPIC_OFFSET, APPENDED_AT),
    primary_key=("topic_partition", "topic_offset"),
    retention=RAW_RETENTION,
    is_daily=False,
    is_hourly=True,
    sums=("amount_minor", "currency"),
    # The lake writes every five minutes, and the catalogue hears of it within a tick or two.
    due=MaxAge(timedelta(minutes=10)),
)


# The topics as the asset graph shows them: nobody builds them, they are looked at.
CHANGES: Final = Dataset(
    key=("streams", "changes"),
    grain="One row per change of a captured table, on the topic oltp.<table>, as the connector wrote it.",
    domain="platform",
    columns=(
        Column("table_name", pl.String(), "Captured table; the topic is oltp.<table>.", "transactions"),
        Column("row_key", pl.String(), "The message's key: the primary key alone, as JSON.", '{"transaction_id":"t"}'),
        c.EPOCH,
        c.VERSION,
        Column("op", pl.String(), "c created, u updated, d deleted, r read by a snapshot.", "c"),
        COMMITTED_AT,
    ),
    primary_key=("table_name", "row_key", "epoch", "version"),
    retention=timedelta(days=7),
    is_daily=False,
)
EVENTS: Final = Dataset(
    key=("streams", "transactions"),
    grain="One row per message of analytics.transactions: a version of a transaction, partial or full.",
    domain="payments",
    columns=EVENT_COLUMNS,
    primary_key=("transaction_id", *EVENT_POSITION),
    retention=timedelta(days=7),
    is_daily=False,
)
DATASETS: Final = (CHANGES, EVENTS, RAW_TRANSACTIONS_STREAM)


# Kafka's own limit is 1 MB, and the source's free text has none: a change above the limit stops capture, with a message
# that says so, until the setting is raised. What follows from a change has room for its own part, and what would be
# larger becomes a dead letter.
LARGEST_CHANGE: Final = 8 * 2**20
ROOM_BESIDE: Final = 2**20
LARGEST_MESSAGE: Final = LARGEST_CHANGE + ROOM_BESIDE


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it must be. ``retention`` None keeps the latest message of each key for ever (compaction).

    ``partitions`` is the degree of parallel work: all of a key's messages lie in one partition, in order.
    """

    name: str
    what: str
    partitions: int
    retention: timedelta | None
    pii: Pii = Pii.PSEUDONYM
    largest_message: int = LARGEST_MESSAGE

    @property
    def cleanup(self) -> Literal["delete", "compact"]:
        """Kafka's cleanup policy."""
        return "compact" if self.retention is None else "delete"


# Payloads of persons' payments stay as briefly as a rebuild and a long weekend allow.
PAYLOAD_RETENTION: Final = timedelta(days=7)
DEAD_LETTER_RETENTION: Final = timedelta(days=14)
PAYMENT_PARTITIONS: Final = 4

# Dimensions that the processor joins are read whole by every worker: compacted, one partition.
DIMENSION_TABLES: Final = ("customers", "merchants", "payment_methods", "devices")
_EVENT_TABLES: Final = ("transactions", "refunds", "disputes", "subscriptions", "consents")

CHANGE_TOPICS: Final = (
    *(
        TopicSpec(topic(table), f"Latest change of each row of {table}.", 1, None, Pii.PERSONAL)
        for table in DIMENSION_TABLES
    ),
    *(
        TopicSpec(topic(table), f"Every change of {table}.", PAYMENT_PARTITIONS, PAYLOAD_RETENTION, Pii.PERSONAL)
        for table in _EVENT_TABLES
    ),
)  # fmt: skip
CAPTURED_TABLES: Final = (*DIMENSION_TABLES, *_EVENT_TABLES)
# What change capture says about itself; no payload. The latest heartbeat must outlive any pause: a gap begins there.
CAPTURE_HEARTBEATS: Final = topic("capture_heartbeats")
CAPTURE_TOPICS: Final = (
    TopicSpec(CAPTURE_HEARTBEATS, "Capture's beat at the source, and what it had seen.", 1, None, Pii.NONE),
    TopicSpec(topic("capture_signals"), "Requests for snapshots, and their windows.", 1, timedelta(days=1), Pii.NONE),
    TopicSpec(HEARTBEATS_OLTP, "The connector's own sign of life.", 1, timedelta(days=1), Pii.NONE),
    TopicSpec(OPS_CAPTURE, "Progress of snapshots, by the connector.", 1, PAYLOAD_RETENTION, Pii.NONE),
)
PROCESSED_TOPICS: Final = (
    TopicSpec(ANALYTICS_TRANSACTIONS, "Enriched versions of transactions.", PAYMENT_PARTITIONS, PAYLOAD_RETENTION),
    TopicSpec(FRAUD_CANDIDATES, "New payments for the fraud model to score.", PAYMENT_PARTITIONS, PAYLOAD_RETENTION),
    TopicSpec(FRAUD_SIGNALS, "Scores and decisions, by the scoring service.", PAYMENT_PARTITIONS, PAYLOAD_RETENTION),
    TopicSpec(OPS_METRICS, "Counters by minute, and events of operations.", 1, PAYLOAD_RETENTION, Pii.NONE),
)
STATE_TOPICS: Final = (
    TopicSpec(STATE_PARTIALS, "Events that wait for their customer or merchant.", PAYMENT_PARTITIONS, None),
    TopicSpec(STATE_COUNTERS, "Open counters, absolute value by minute and key.", PAYMENT_PARTITIONS, None, Pii.NONE),
    TopicSpec(STATE_DEAD_LETTERS, "The end of each dead letter: how, when, by whom and why.", 1, None, Pii.NONE),
)
DEAD_LETTER_TOPICS: Final = tuple(
    TopicSpec(dead_letters(spec.name), f"What could not be used of {spec.name}.", 1, DEAD_LETTER_RETENTION, spec.pii)
    for spec in (*CHANGE_TOPICS, *PROCESSED_TOPICS)
)
TOPICS: Final = (*CHANGE_TOPICS, *CAPTURE_TOPICS, *PROCESSED_TOPICS, *STATE_TOPICS, *DEAD_LETTER_TOPICS)
