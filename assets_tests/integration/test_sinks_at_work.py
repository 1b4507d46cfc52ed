"""The sink workers on real servers, from the topic to the stores, held against PostgreSQL by the command itself."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pytest
from typer.testing import CliRunner

from assets_tests.conftest import Stack
from assets_tests.integration import streamed
from payments_platform.cli import app
from payments_platform.clients import elasticsearch, kafka, mongodb
from payments_platform.commands.verify import DIFFERS
from payments_platform.contracts.dead_letters import Fault, LetterState
from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM, STATE_TOPICS
from payments_platform.lake import segments
from payments_platform.lake.storage import LocalStorage
from payments_platform.oltp.traffic.drive import Traffic, drive
from payments_platform.streaming.dead_letter_ledger import read_ledger
from payments_platform.streaming.dead_letter_replay import DeadLetterOffice, Decision
from payments_platform.streaming.dead_letters import DeadLetterWriter, letters
from payments_platform.streaming.events import decode
from payments_platform.streaming.messages import frame_of
from payments_platform.streaming.reading import read_whole
from payments_platform.streaming.sinks import jobs
from payments_platform.streaming.sinks.protocol import SOURCE_POSITION
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, dead_letters

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
KINDS = {"missing", "changed", "duplicate", "phantom"}


@pytest.fixture(scope="module")
def filled(stream_stack: Stack, emptied: Stack) -> Iterator[Stack]:
    """A few seconds of traffic in PostgreSQL, on the topic, and in every store, put there by the workers."""
    settings = stream_stack.settings
    streamed.start_empty(stream_stack)
    address = settings.postgres("primary", "app"), settings.postgres("primary", "loader")
    drive(Traffic(*address, settings.token_key(), seed=7, tps=100, sessions=2), 4.0, threading.Event(), lambda _: None)
    events = streamed.committed_events(stream_stack)
    with streamed.sinks_at_work(stream_stack):
        # Half in order, and all again backwards: what a capture that starts anew may bring.
        streamed.produce(stream_stack, events.sample(fraction=0.5, seed=1), extra=[b"{", b'{"epoch":1}'])
        streamed.produce(stream_stack, _rest(events))
        streamed.caught_up(stream_stack, (jobs.MONGODB, jobs.ELASTICSEARCH))
    yield stream_stack
    streamed.start_empty(stream_stack)


def _rest(events: pl.DataFrame) -> pl.DataFrame:
    """What the first half did not bring, newest first."""
    key = ["transaction_id", "version"]
    return events.join(events.sample(fraction=0.5, seed=1), on=key, how="anti").sort(key, descending=True)


def verified(*words: str) -> list[dict[str, object]]:
    """What `payments verify` says."""
    done = CliRunner().invoke(app, ["verify", "--format", "json", "--settle", "0", *words])
    assert done.exit_code in {0, DIFFERS}, done.output
    found: list[dict[str, object]] = json.loads(done.stdout)
    assert done.exit_code == (DIFFERS if found else 0)
    return found


def kinds(found: list[dict[str, object]], store: str) -> set[object]:
    return {row["kind"] for row in found if row["store"] == store}


@pytest.mark.row("S3", "S4", "S5", "N1", "Y3", "O3", "O9")
def test_every_store_holds_what_postgresql_committed_and_nothing_else(filled: Stack) -> None:
    assert verified() == []
    found = letters(read_whole(filled.settings.kafka_servers(), [dead_letters(ANALYTICS_TRANSACTIONS)]))
    assert sorted(found["consumer"].unique()) == sorted(streamed.SINKS)
    assert found.group_by("consumer").len()["len"].to_list() == [2, 2, 2]


@pytest.mark.row("O9", "X2")
def test_four_planted_faults_are_found_in_each_real_store_and_a_rebuild_mends_them(filled: Stack) -> None:
    settings = filled.settings
    ids = streamed.committed_events(filled)["transaction_id"].unique().sort().to_list()
    _spoil_documents(filled, ids)
    _spoil_search(filled, ids)
    _spoil_lake(filled, ids)
    found = verified()
    assert kinds(found, "mongodb") == kinds(found, "elasticsearch") == kinds(found, "lake") == KINDS
    assert {row["transaction_id"] for row in found if row["kind"] == "phantom"} == {"txn_never"}
    assert kinds(found, ANALYTICS_TRANSACTIONS) == set()
    for sink in ("lake", "mongodb", "elasticsearch"):
        done = CliRunner().invoke(app, ["rebuild", sink, "--yes"])
        assert done.exit_code == 0, done.output
    assert verified() == []
    assert settings.lake_root.exists()


@pytest.mark.row("S10")
@pytest.mark.parametrize("sink", ["mongodb", "elasticsearch"])
def test_a_store_is_rebuilt_from_kafka_alone_while_its_worker_runs(filled: Stack, sink: str) -> None:
    with streamed.sinks_at_work(filled):
        done = CliRunner().invoke(app, ["rebuild", sink, "--from", "kafka", "--yes"])
        assert done.exit_code == 0, done.output
    assert verified("--store", sink) == []


@pytest.mark.row("S8", "O9")
def test_a_store_is_excused_by_a_letter_of_its_own_until_that_is_replayed(filled: Stack) -> None:
    """A store that never took what was replayed to it has lost it; the topic that has it twice has lost nothing."""
    settings, events = filled.settings, streamed.committed_events(filled)
    payment: str = events.filter(pl.len().over("transaction_id") == 1)["transaction_id"].min()  # type: ignore[assignment]
    with mongodb.connect(settings.mongodb_uri()) as client:
        client[jobs.DATABASE].transaction_logs.delete_one({"_id": payment})
    assert kinds(verified(), "mongodb") == kinds(verified(), "mongodb states") == {"missing"}
    _refuse(filled, payment, jobs.LAKE)
    assert kinds(verified(), "mongodb") == {"missing"}
    _refuse(filled, payment, jobs.MONGODB)
    assert verified() == []
    ensure_topics(kafka.admin(settings.kafka_servers()), STATE_TOPICS, ONE_BROKER)
    with DeadLetterOffice(settings.kafka_servers()) as office:
        ledger = read_ledger(settings.kafka_servers())
        chosen = ledger.filter((pl.col("refusal") == payment) & (pl.col("consumer") == jobs.MONGODB))
        decision = Decision("operator", datetime.now(UTC), "the mapping was mended")
        assert office.replay(ledger, chosen, decision).ended == {LetterState.REPLAYED: 1}
    assert kinds(verified(), "mongodb") == kinds(verified(), "mongodb states") == {"missing"}
    with streamed.sinks_at_work(filled):
        streamed.caught_up(filled, (jobs.MONGODB, jobs.ELASTICSEARCH))
    assert verified() == []


def _refuse(stack: Stack, payment: str, consumer: str) -> None:
    """Write the letter of a worker about the message of a payment's only version."""
    servers = stack.settings.kafka_servers()
    messages = frame_of(read_whole(servers, [ANALYTICS_TRANSACTIONS]))
    theirs = decode(messages)[0].filter(pl.col("transaction_id") == payment)
    refused = messages.join(theirs, on=SOURCE_POSITION, how="semi")
    writer = DeadLetterWriter(kafka.producer(servers), consumer)
    reasons = {"fault": pl.lit(Fault.REFUSED_BY_STORE.value), "refusal": pl.lit(payment)}
    assert writer.bury(refused.with_columns(**reasons), failed_at=datetime.now(UTC)) == 1
    writer.settle()


def test_a_rebuild_asks_before_it_empties_a_store(filled: Stack) -> None:
    done = CliRunner().invoke(app, ["rebuild", "mongodb"], input="n\n")
    assert done.exit_code == 1
    assert verified("--store", "mongodb") == []


def _spoil_documents(stack: Stack, ids: list[str]) -> None:
    with mongodb.connect(stack.settings.mongodb_uri()) as client:
        held = client[jobs.DATABASE].transaction_logs
        good = held.find_one({"_id": ids[0]})
        assert good is not None
        held.delete_one({"_id": ids[1]})
        held.update_one({"_id": ids[2]}, {"$set": {"current.amount_minor": 1}})
        held.insert_one({**good, "_id": f"{ids[0]} again"})
        held.insert_one({**good, "_id": "txn_never", "transaction_id": "txn_never"})


def _spoil_search(stack: Stack, ids: list[str]) -> None:
    with elasticsearch.connect(stack.settings.elasticsearch_url()) as client:

        def of(key: str) -> dict[str, object]:
            hits = client.search(index="transactions-*", query={"ids": {"values": [key]}})["hits"]["hits"]
            return dict(hits[0])

        good = of(ids[0])
        index, source = str(good["_index"]), dict(good["_source"])  # type: ignore[call-overload]
        client.delete(index=str(of(ids[1])["_index"]), id=ids[1])
        changed = of(ids[2])
        client.index(
            index=str(changed["_index"]), id=ids[2],
            document={**changed["_source"], "amount_minor": 1},  # type: ignore[dict-item]
        )  # fmt: skip
        client.index(index=index, id=f"{ids[0]} again", document=source)
        client.index(index=index, id="txn_never", document={**source, "transaction_id": "txn_never"})


def _spoil_lake(stack: Stack, ids: list[str]) -> None:
    storage = LocalStorage(stack.settings.lake_root)
    for segment in segments.segments(storage, ANALYTICS_TRANSACTIONS):
        rows = storage.scan([segment.file], RAW_TRANSACTIONS_STREAM.schema).collect()
        key = pl.col("transaction_id")
        kept = rows.filter(key != ids[1]).with_columns(
            pl.when(key == ids[2]).then(1).otherwise("amount_minor").cast(pl.Int64).alias("amount_minor")
        )
        invented = kept.head(1).with_columns(transaction_id=pl.lit("txn_never"))
        with storage.writing(segment.file) as target:
            pl.concat([kept, kept.filter(key == ids[0]), invented]).write_parquet(target)
