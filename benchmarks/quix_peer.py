"""The peer of the stream benchmark: Quix Streams does the same work on the same topic, one message at a time.

It decodes the envelope, masks card numbers by the same function, joins customer and merchant, routes to the same two
topics in Kafka transactions. Left out, in its favour: strict types, dead letters, waiting partials, counters.
"""

import sys
import time
from typing import Any

import orjson
import psutil
from quixstreams import Application, __version__

from payments_platform.batch.masking import mask_json, mask_text
from payments_platform.contracts.streams import CUSTOMER_COLUMNS, MERCHANT_COLUMNS
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, FRAUD_CANDIDATES, topic

_CUSTOMER = {column.name: column.name.removeprefix("customer_") for column in CUSTOMER_COLUMNS}
_MERCHANT = {column.name: column.name.removeprefix("merchant_") for column in MERCHANT_COLUMNS}
Row = dict[str, Any]


def main(servers: str, messages: int) -> None:
    """Read the topic to its end; print messages, seconds, CPU seconds and the version."""
    customers, merchants = (_known(servers, table) for table in ("customers", "merchants"))
    seen, started, ended, cpu, spent = 0, 0.0, 0.0, 0.0, 0.0

    def event(envelope: Row) -> Row:
        nonlocal seen, started, ended, cpu, spent
        seen += 1
        if not started:
            started, cpu = time.monotonic(), _cpu()
        if seen >= messages:  # the last commit is left out, in its favour
            ended, spent = time.monotonic(), _cpu() - cpu
        return _event(envelope, customers, merchants)

    app = Application(
        broker_address=servers,
        consumer_group="peer",
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=1.0,
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="ERROR",
    )
    source = app.topic(topic("transactions"), value_deserializer="json", key_deserializer="bytes")
    outlets = [
        app.topic(name, value_serializer="json", key_serializer="bytes")
        for name in (ANALYTICS_TRANSACTIONS, FRAUD_CANDIDATES)
    ]
    events = app.dataframe(source).apply(event)
    events.to_topic(outlets[0])
    events[events.apply(lambda row: row["op"] == "c" and row["status"] == "processing")].to_topic(outlets[1])
    app.run(count=messages, timeout=10)
    print(seen, ended - started, spent, __version__)


def _event(envelope: Row, customers: dict[str, Row], merchants: dict[str, Row]) -> Row:
    row: Row = envelope["after"]
    customer, merchant = customers.get(row["customer_id"]), merchants.get(row["merchant_id"])
    joined = {name: customer and customer[old] for name, old in _CUSTOMER.items()}
    joined |= {name: merchant and merchant[old] for name, old in _MERCHANT.items()}
    return {
        **row,
        **joined,
        "description": row["description"] and mask_text(row["description"]),
        "metadata": row["metadata"] and mask_json(row["metadata"]),
        "epoch": int(envelope["epoch"]),
        "op": envelope["op"],
        "enrichment": int(customer is not None and merchant is not None),
        "previous_status": envelope["before"] and envelope["before"]["status"],
        "is_deleted": False,
        "committed_at": envelope["source"]["ts_us"],
        "processed_at": time.time_ns() // 1000,
    }


def _known(servers: str, table: str) -> dict[str, Row]:
    """The latest row of each key, read whole."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": servers, "group.id": "peer-reads", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic(table), 0, 0)])
    rows: dict[str, Row] = {}
    while True:
        for message in consumer.consume(10_000, 1.0):
            if message.error() is not None:
                consumer.close()
                return rows
            row = orjson.loads(message.value() or b"")["after"]
            rows[row[next(iter(row))]] = row


def _cpu() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
