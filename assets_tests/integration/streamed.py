"""The stream without its processor: what the source committed, as the processor would emit it, and the sinks at work.

Belongs here: an empty topic and empty stores, events of committed versions, sink workers in threads. Does not: tests.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import polars as pl
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from assets_tests.conftest import Stack
from payments_platform.clients import kafka
from payments_platform.clients.postgres import connect_arrow
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.streams import EVENT_COLUMNS, EVENT_SCHEMA, FULL, PROCESSED_TOPICS, TOPICS
from payments_platform.streaming.events import encode
from payments_platform.streaming.lag import lags_of
from payments_platform.streaming.sinks import jobs
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.streaming.truth import committed_versions
from payments_platform.streaming.workers import build
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, dead_letters

SINKS = (jobs.MONGODB, jobs.ELASTICSEARCH, jobs.LAKE)
_PATIENCE_SECONDS = 90.0


def start_empty(stack: Stack) -> None:
    """No message, no offset of a sink, no document and no segment of an earlier test."""
    servers = stack.settings.kafka_servers()
    admin = kafka.admin(servers)
    names = {ANALYTICS_TRANSACTIONS, dead_letters(ANALYTICS_TRANSACTIONS)}
    for name in names & set(admin.list_topics(timeout=20).topics):
        admin.delete_topics([name])[name].result(20)
    _until(lambda: _forgotten(admin))
    _until(lambda: not names & set(admin.list_topics(timeout=20).topics))
    ensure_topics(admin, [spec for spec in TOPICS if spec.name in names], ONE_BROKER)
    assert {spec.name for spec in PROCESSED_TOPICS} >= {ANALYTICS_TRANSACTIONS}
    with (
        closing(jobs.mongodb_sink(stack.settings)) as documents,
        closing(jobs.elasticsearch_sink(stack.settings)) as it,
    ):
        documents.clear()
        it.clear()
    shutil.rmtree(stack.settings.lake_root / "raw" / "transactions_stream", ignore_errors=True)


def _forgotten(admin: AdminClient) -> bool:
    """Delete the sinks' groups; a member keeps its place for some seconds after it left."""
    known = {it.group_id for it in admin.list_consumer_groups().result().valid} & set(SINKS)
    for answer in (admin.delete_consumer_groups(sorted(known)) if known else {}).values():
        try:
            answer.result(20)
        except KafkaException as error:
            if error.args[0].name() == "NON_EMPTY_GROUP":
                return False
            raise
    return True


def committed_events(stack: Stack) -> pl.DataFrame:
    """Every committed version of every payment, as the processor emits it once customer and merchant are known."""
    with connect_arrow(stack.settings.postgres("primary", "extract"), name="tests") as connection:
        versions = committed_versions(connection, RAW_TRANSACTIONS, stack.settings.epoch)
    joined = {it.name: it.example for it in EVENT_COLUMNS if it.name not in versions.columns}
    return versions.with_columns(
        *(pl.lit(value, dtype=EVENT_SCHEMA[name]).alias(name) for name, value in joined.items()),
    ).with_columns(
        is_deleted=pl.col("op") == "d",
        enrichment=pl.lit(FULL, dtype=pl.Int8),
        committed_at="updated_at",
        processed_at=pl.lit(datetime.now(UTC), dtype=EVENT_SCHEMA["processed_at"]),
    ).select(EVENT_SCHEMA.names())  # fmt: skip


def produce(stack: Stack, events: pl.DataFrame, extra: Sequence[bytes] = ()) -> None:
    """Put events on the topic in transactions, as the processor does, by the key of their payment."""
    producer = kafka.producer(stack.settings.kafka_servers(), transactional_id="tests")
    producer.init_transactions(20)
    for part in [*events.iter_slices(500)]:
        producer.begin_transaction()
        for key, value in zip(part["transaction_id"], encode(part), strict=True):
            producer.produce(ANALYTICS_TRANSACTIONS, value, f'{{"transaction_id":"{key}"}}')
        for value in extra:
            producer.produce(ANALYTICS_TRANSACTIONS, value, b"{}")
        extra = ()
        producer.commit_transaction(20)


@contextmanager
def sinks_at_work(stack: Stack, names: Sequence[str] = SINKS) -> Iterator[None]:
    """The sink workers in threads; they leave in order, so everything they hold is durable afterwards."""
    stop, failures = threading.Event(), list[BaseException]()

    def run(name: str) -> None:
        try:
            build(name, stack.settings, stop=stop, registry=CollectorRegistry()).run()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failures == []


def caught_up(stack: Stack, names: Sequence[str] = SINKS) -> None:
    """Wait until the workers have committed all that lies on the topic (a marker ends each transaction)."""
    servers = stack.settings.kafka_servers()

    def done() -> bool:
        lags = lags_of(servers, names)
        return {it.group for it in lags} == set(names) and max(it.lag for it in lags) <= 1

    _until(done)


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.2)
