"""The MongoDB sink beside MongoDB's own sink connector, on the same messages, one after the other.

Run: make bench-stream-mongodb, on a stack that is up: `payments up --only kafka,mongodb` is enough.

Belongs here: scratch topic and databases of the running stack, both runs, the table. Does not: the sink
(streaming/sinks/), how the connector's files are fetched for the stack (local/downloads.py).
"""

import argparse
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import polars as pl
from prometheus_client import CollectorRegistry

from payments_platform.clients import kafka, mongodb
from payments_platform.contracts.streams import EVENT_COLUMNS, EVENT_SCHEMA, TopicSpec
from payments_platform.settings import Settings, load_settings
from payments_platform.streaming.events import encode
from payments_platform.streaming.metrics import WorkerMetrics
from payments_platform.streaming.sinks.handler import SinkHandler
from payments_platform.streaming.sinks.mongodb import MongoSink
from payments_platform.streaming.source import KafkaSource, Pace
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.streaming.worker import Worker

CONNECTOR: Final = ("org.mongodb.kafka", "mongo-kafka-connect", "2.0.1")
_PATIENCE_SECONDS: Final = 300.0
_LATE_SHARE: Final = 0.05
_LOG: Final = Path.cwd() / ".peer" / "connect.log"


@dataclass(frozen=True)
class Run:
    """One writer: documents a second from its first to its last, and what its documents show."""

    name: str
    per_second: float
    documents: int
    stale: int
    note: str = ""


def events(count: int) -> pl.DataFrame:
    """60 new payments and 40 second versions of earlier ones of every 100; some second versions overtake the first."""
    created = datetime.now(UTC) - timedelta(hours=1)
    payments = count * 6 // 10
    number = pl.int_range(payments, eager=True)
    sample = {column.name: column.example for column in EVENT_COLUMNS}
    first = pl.DataFrame({"number": number}).with_columns(
        *(pl.lit(value, dtype=EVENT_SCHEMA[name]).alias(name) for name, value in sample.items())
    ).with_columns(
        pl.format("txn_{}", "number").alias("transaction_id"),
        pl.lit(created, dtype=EVENT_SCHEMA["created_at"]).alias("created_at"),
        pl.col("number").cast(pl.Float64).alias("at"),
    )  # fmt: skip
    second = first.head(count - payments).with_columns(
        version=pl.lit(2, dtype=pl.Int32), op=pl.lit("u"), captured_minor=pl.col("amount_minor")
    )
    step = pl.when(pl.col("number") % round(1 / _LATE_SHARE) == 0).then(-3.5).otherwise(20.5)
    both = pl.concat([first, second.with_columns(at=pl.col("at") + step)])
    return both.sort("at").select(EVENT_SCHEMA.names())


def main() -> None:
    """Measure both on the stack of PAYMENTS_HOME, and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=50_000)
    options.add_argument("--batch", type=int, default=5_000)
    asked = options.parse_args()
    settings, sent = load_settings(), events(asked.events)
    _LOG.parent.mkdir(exist_ok=True)
    with _topic(settings, sent) as topic:
        runs = [_measured("sink-mongodb", settings, sent, lambda name: _ours(settings, topic, name, asked.batch))]
        runs.append(_measured("mongo-kafka-connect", settings, sent, lambda name: _peer(settings, topic, name)))
    print("| writer | documents a second | documents | show an older version | |\n|---|---|---|---|---|")
    for run in runs:
        print(f"| {run.name} | {run.per_second:,.0f} | {run.documents:,} | {run.stale:,} | {run.note} |")


@contextmanager
def _topic(settings: Settings, sent: pl.DataFrame) -> Iterator[str]:
    """A scratch topic of one partition with all events on it."""
    name, admin = f"bench.{uuid4().hex[:8]}", kafka.admin(settings.kafka_servers())
    ensure_topics(admin, [TopicSpec(name, "Benchmark.", 1, timedelta(days=1))], ONE_BROKER)
    producer = kafka.producer(settings.kafka_servers(), more={"queue.buffering.max.messages": 2_000_000})
    for key, value in zip(sent["transaction_id"], encode(sent), strict=True):
        producer.produce(name, value, f'{{"transaction_id":"{key}"}}')
    producer.flush(120)
    yield name
    admin.delete_topics([name])[name].result(30)


def _measured(name: str, settings: Settings, sent: pl.DataFrame, start: Callable[[str], Any]) -> Run:
    """Run a writer into a database of its own until every payment is there and nothing changes any more."""
    database = f"bench_{uuid4().hex[:8]}"
    wanted = sent["transaction_id"].n_unique()
    with mongodb.connect(settings.mongodb_uri()) as client:
        held, first, last, seen = client[database].transaction_logs, 0.0, 0.0, 0
        try:
            with start(database) as is_alive:
                end = time.monotonic() + _PATIENCE_SECONDS
                while seen < wanted and is_alive() and time.monotonic() < end:
                    time.sleep(0.1)
                    found = held.estimated_document_count()
                    first = first or (time.monotonic() if found else 0.0)
                    seen, last = found, time.monotonic()
                time.sleep(3)
            shown = {str(it["transaction_id"]): _version(it) for it in held.find({})}
        finally:
            client.drop_database(database)
    right = dict(sent.group_by("transaction_id").agg(pl.col("version").max()).iter_rows())
    stale = sum(version < right.get(key, 0) for key, version in shown.items())
    note = "" if seen == wanted else f"{wanted - seen:,} payments did not come; {_LOG} says why"
    return Run(name, sent.height / (last - first) if last > first else 0.0, len(shown), stale, note)


def _version(document: Mapping[str, Any]) -> int:
    return int(document.get("current", document).get("version", 0))


@contextmanager
def _ours(settings: Settings, topic: str, database: str, batch: int) -> Iterator[Callable[[], bool]]:
    """The sink's worker in a thread, with the loop that it always has."""
    stop = threading.Event()
    metrics = WorkerMetrics("sink-mongodb", CollectorRegistry())
    sink = MongoSink(mongodb.connect(settings.mongodb_uri())[database].transaction_logs)
    source = KafkaSource(kafka.consumer(settings.kafka_servers(), database), [topic])
    worker = Worker(
        "sink-mongodb", source, SinkHandler(sink, _none_refused, metrics), metrics, pace=Pace(batch=batch), stop=stop
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield thread.is_alive
    finally:
        stop.set()
        thread.join()


def _none_refused(refused: pl.DataFrame) -> None:
    if not refused.is_empty():
        raise AssertionError(f"{refused.height} events were refused")


@contextmanager
def _peer(settings: Settings, topic: str, database: str) -> Iterator[Callable[[], bool]]:
    """A standalone Connect worker with the connector alone, replacing documents by the id in the key."""
    with tempfile.TemporaryDirectory(prefix="payments-bench-") as text:
        folder = Path(text)
        worker, connector = folder / "worker.properties", folder / "connector.properties"
        worker.write_text(_lines(_worker(settings, folder)), encoding="utf-8")
        connector.write_text(_lines(_connector(settings, topic, database)), encoding="utf-8")
        jars = settings.downloads / "kafka" / "*"
        command = [
            "java", "-Xmx512m", "-cp", str(jars), "org.apache.kafka.connect.cli.ConnectStandalone", str(worker),
            str(connector),
        ]  # fmt: skip
        with (
            _LOG.open("w", encoding="utf-8") as log,
            subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder) as process,
        ):
            try:
                yield lambda: process.poll() is None
            finally:
                process.terminate()


def _worker(settings: Settings, folder: Path) -> dict[str, str]:
    return {
        "bootstrap.servers": settings.kafka_servers(),
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "offset.storage.file.filename": str(folder / "offsets"),
        "plugin.path": str(_plugins(folder)),
        "listeners": "http://127.0.0.1:0",
    }


def _connector(settings: Settings, topic: str, database: str) -> dict[str, str]:
    strategy = "com.mongodb.kafka.connect.sink"
    return {
        "name": database,
        "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector",
        "tasks.max": "1",
        "topics": topic,
        "connection.uri": settings.mongodb_uri().get_secret_value(),
        "database": database,
        "collection": "transaction_logs",
        "document.id.strategy": f"{strategy}.processor.id.strategy.PartialValueStrategy",
        "document.id.strategy.partial.value.projection.list": "transaction_id",
        "document.id.strategy.partial.value.projection.type": "AllowList",
        "writemodel.strategy": f"{strategy}.writemodel.strategy.ReplaceOneDefaultStrategy",
        "consumer.override.auto.offset.reset": "earliest",
    }


def _lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _plugins(folder: Path) -> Path:
    """A folder with the connector and all it needs alone, fetched once by its Maven coordinates."""
    from jgo.maven import MavenContext

    group, artifact, version = CONNECTOR
    context = MavenContext(repo_cache=_LOG.with_name("maven"))
    jar = context.project(group, artifact).at_version(version).artifact("all", "jar").resolve()
    place = folder / "plugins" / artifact
    place.mkdir(parents=True)
    shutil.copy(jar, place)
    return place.parent


if __name__ == "__main__":
    main()
