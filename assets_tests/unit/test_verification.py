"""Verification finds each kind of fault in each store, names it, and is quiet about what is right."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

import polars as pl
import pytest
from bson import ObjectId

from assets_tests.fakes.documents import MemoryCollection
from assets_tests.fakes.events import NOW, Event, deleted, event, frame, messages
from assets_tests.fakes.search import MemoryElasticsearch
from assets_tests.fakes.storage import MemoryStorage
from assets_tests.fakes.topic import HeldTopic
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.streams import PARTIAL, RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.streaming.comparison import KINDS, Kind
from payments_platform.streaming.excuses import REFUSED, excused
from payments_platform.streaming.owed import LakeRows
from payments_platform.streaming.sinks.elasticsearch import ElasticsearchSink
from payments_platform.streaming.sinks.lake import Flush, LakeHandler
from payments_platform.streaming.sinks.lake_files import rows_of
from payments_platform.streaming.sinks.mongodb import MongoSink
from payments_platform.streaming.sinks.protocol import Span, Wanted
from payments_platform.streaming.verification import (
    View,
    appended_since,
    kept_since,
    settled_versions,
    verify,
)
from payments_platform.streaming.views import NEEDS, REFUSED_BY
from payments_platform.streaming.workers import WORKERS
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

# What the source committed: a payment that was refunded, one deleted, one that stands alone.
HISTORY = [
    event("txn_1", 1), event("txn_1", 2), event("txn_1", 3), event("txn_2", 1), deleted("txn_2", 2), event("txn_3", 1),
]  # fmt: skip
STORES = ("mongodb", "mongodb states", "elasticsearch", "lake", ANALYTICS_TRANSACTIONS)


@dataclass
class FakeSource:
    """PostgreSQL's history as a list."""

    history: list[Event]
    since: datetime | None = None

    def spans(self) -> Iterator[Span]:
        yield from (Span(None, "txn_2"), Span("txn_2", None))

    def versions(self, wanted: Wanted) -> pl.DataFrame:
        rows = frame(self.history).with_columns(
            pl.lit(None, dtype=column.dtype).alias(column.name)
            for column in RAW_TRANSACTIONS.columns
            if column.name not in frame([]).columns
        )
        held = wanted.holds() if isinstance(wanted, Span) else pl.col("transaction_id").is_in(list(wanted))
        changed = rows.filter(self.since is None or pl.col("updated_at") >= self.since)["transaction_id"].to_list()
        return rows.filter(held & pl.col("transaction_id").is_in(changed)).select(RAW_TRANSACTIONS.names)


@pytest.fixture(autouse=True)
def copies(tmp_path: Path) -> None:
    """Where the copies of a test's lake lie."""
    Stores.copies = tmp_path


class Stores:
    """All stores, each filled from the same events, and ways to spoil them."""

    copies: ClassVar[Path]

    def __init__(self, events: list[Event]) -> None:
        self.collection, self.engine, self.storage = MemoryCollection(), MemoryElasticsearch(), MemoryStorage()
        self.topic = list(events)
        self.mongodb = MongoSink(cast("Any", self.collection))
        self.search = ElasticsearchSink(cast("Any", self.engine), lambda: NOW)
        worker = LakeHandler(self.storage, lambda _: None, lambda _: (0, 1_000), Flush(1))
        worker.start([(ANALYTICS_TRANSACTIONS, 0)])
        for sink in (self.mongodb, self.search):
            sink.prepare()
            sink.write(frame(events))
        worker.handle(messages(events))

    def views(self) -> list[View]:
        always, kept = appended_since(None), kept_since(NOW)
        return [
            View("mongodb", has_versions=False, rows=self.mongodb.read, is_owed=kept),
            View("mongodb states", has_versions=True, rows=self.mongodb.states, is_owed=kept),
            View("elasticsearch", has_versions=False, rows=self.search.read, is_owed=kept),
            View("lake", has_versions=True, rows=self._lake().rows, is_owed=always),
            View(ANALYTICS_TRANSACTIONS, has_versions=True, rows=self._topic, is_owed=always),
        ]

    def _lake(self) -> LakeRows:
        lake, topic = (Path(tempfile.mkdtemp(dir=self.copies)) for _ in range(2))
        return LakeRows(self.storage, lake, HeldTopic(topic), timedelta())

    def _topic(self, wanted: Wanted) -> pl.DataFrame:
        return _asked(rows_of(frame(self.topic)), wanted)

    def spoil(self, store: str, kind: Kind) -> None:
        spoil: dict[str, Callable[[Kind], None]] = {
            "mongodb": self._spoil_document, "mongodb states": self._spoil_state, "elasticsearch": self._spoil_indexed,
            "lake": self._spoil_segment, ANALYTICS_TRANSACTIONS: self._spoil_topic,
        }  # fmt: skip
        spoil[store](kind)

    def _spoil_document(self, kind: Kind) -> None:
        held = self.collection
        match kind:
            case "missing":
                held.delete_one({"_id": "txn_3"})
            case "changed":
                held.update_one({"_id": "txn_3"}, {"$set": {"current.amount_minor": 1}})
            case "duplicate":
                held.insert_one({**held.stored["txn_3"], "_id": "txn_3 again"})
            case "phantom":
                held.insert_one({**held.stored["txn_3"], "_id": "txn_9", "transaction_id": "txn_9"})

    def _spoil_state(self, kind: Kind) -> None:
        states = self.collection.stored["txn_1"]["states"]
        match kind:
            case "missing":
                del states["1-1"]
            case "changed":
                states["1-2"]["status"] = "failed"
            case "duplicate":
                states["01-2"] = states["1-2"]
            case "phantom":
                states["1-7"] = states["1-2"]

    def _spoil_indexed(self, kind: Kind) -> None:
        (index,) = self.engine.stored
        good = self.engine.stored[index]["txn_3"][1]
        match kind:
            case "missing":
                self.engine.delete(index=index, id="txn_3")
            case "changed":
                self.engine.index(index=index, id="txn_3", document={**good, "amount_minor": 1})
            case "duplicate":
                self.engine.index(index="transactions-2026.11.20", id="txn_3", document=good)
            case "phantom":
                self.engine.index(index=index, id="txn_9", document={**good, "transaction_id": "txn_9"})

    def _spoil_segment(self, kind: Kind) -> None:
        (segment,) = segments.segments(self.storage, ANALYTICS_TRANSACTIONS)
        rows = self.storage.scan([segment.file], RAW_TRANSACTIONS_STREAM.schema).collect()
        with self.storage.writing(segment.file) as target:
            _spoiled(rows, kind).write_parquet(target)

    def _spoil_topic(self, kind: Kind) -> None:
        one = event("txn_3", 1)
        rest = [it for it in self.topic if it["transaction_id"] != "txn_3"]
        more = {
            "missing": [], "changed": [{**one, "amount_minor": 1}], "duplicate": [one, one],
            "phantom": [one, event("txn_9")],
        }  # fmt: skip
        self.topic = [*rest, *more[kind]]


def _asked(rows: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    return rows.filter(wanted.holds() if isinstance(wanted, Span) else pl.col("transaction_id").is_in(list(wanted)))


def _spoiled(rows: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    theirs = pl.col("transaction_id") == "txn_3"
    match kind:
        case "missing":
            return rows.filter(~theirs)
        case "changed":
            amount = pl.when(theirs).then(1).otherwise("amount_minor").alias("amount_minor").cast(pl.Int64)
            return rows.with_columns(amount)
        case "duplicate":
            return pl.concat([rows, rows.filter(theirs)])
        case "phantom":
            return pl.concat([rows, rows.filter(theirs).with_columns(transaction_id=pl.lit("txn_9"))])


def compared(stores: Stores, source: FakeSource | None = None) -> pl.DataFrame:
    return verify(source or FakeSource(HISTORY), stores.views(), 0, lambda _: None)


@pytest.mark.row("O9", "X2")
def test_stores_that_hold_what_the_source_committed_differ_in_nothing() -> None:
    """Partial and full, in any order: a false alarm teaches people to look away."""
    events = [*HISTORY[::-1], event("txn_1", 2, PARTIAL), event("txn_3", 1, PARTIAL)]
    assert compared(Stores(events)).is_empty()


@pytest.mark.row("O9", "X2")
def test_a_delete_that_a_bulk_load_dated_differs_in_nothing() -> None:
    """The stream dates it by its commit; of any other version the time is compared."""
    earlier = NOW - timedelta(days=3)
    loaded = [*HISTORY[:4], deleted("txn_2", 2, updated_at=earlier), *HISTORY[5:]]
    assert compared(Stores(HISTORY), FakeSource(loaded)).is_empty()
    assert not compared(Stores(HISTORY), FakeSource([*HISTORY[:5], event("txn_3", 1, updated_at=earlier)])).is_empty()


@pytest.mark.row("O9", "X2")
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settle", [0, 0.05], ids=["at once", "after settling"])
def test_each_planted_fault_is_found_in_each_store_and_named(
    store: str, kind: Kind, settle: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is looked at again: a fault that the second look forgets is never told by the command."""
    monkeypatch.setattr("payments_platform.streaming.verification.time.sleep", lambda _: None)
    stores = Stores(HISTORY)
    stores.spoil(store, kind)
    found = verify(FakeSource(HISTORY), stores.views(), settle, lambda _: None)
    of_store = found.filter(pl.col("store") == store)
    assert kind in of_store["kind"].to_list()
    planted = {"txn_9"} if kind == "phantom" and store != "mongodb states" else {"txn_1", "txn_3"}
    assert planted & set(of_store.filter(pl.col("kind") == kind)["transaction_id"])
    if kind == "changed":
        assert set(of_store["what"]) <= {"amount_minor", "status"}
    others = set(found["store"]) - {store}
    assert others <= ({"mongodb states"} if store == "mongodb" else set())


@pytest.mark.row("O9", "X2")
@pytest.mark.parametrize("other_id", ["a copy", "zzz", ObjectId(), 7], ids=["before", "behind", "ObjectId", "number"])
def test_a_copy_under_any_id_is_a_duplicate_of_its_payment(other_id: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign writer's ids are whatever it likes, and lie in another range than the payment's."""
    monkeypatch.setattr("payments_platform.streaming.verification.time.sleep", lambda _: None)
    stores = Stores(HISTORY)
    stores.collection.insert_one({**stores.collection.stored["txn_3"], "_id": other_id})
    found = verify(FakeSource(HISTORY), stores.views(), 0.05, lambda _: None).filter(pl.col("store") == "mongodb")
    assert found.select("kind", "transaction_id").rows() == [("duplicate", "txn_3")]


def test_a_document_that_names_no_payment_is_a_phantom_by_its_own_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payments_platform.streaming.verification.time.sleep", lambda _: None)
    stores = Stores(HISTORY)
    stores.collection.insert_one({"_id": 7, "note": "written by hand"})
    found = verify(FakeSource(HISTORY), stores.views(), 0.05, lambda _: None)
    assert found.select("store", "kind", "transaction_id").rows() == [("mongodb", "phantom", "7")]


def test_a_version_before_the_snapshot_that_read_the_payment_is_not_owed() -> None:
    """What was changed before capture began is in no topic, and nothing was lost."""
    read = {**event("txn_1", 2), "committed_at": None}
    events = [
        read,
        *[it for it in HISTORY if (it["transaction_id"], it["version"]) not in {("txn_1", 1), ("txn_1", 2)}],
    ]
    assert compared(Stores(events)).is_empty()


def test_what_did_not_survive_a_failover_is_no_version_and_what_stands_is_compared() -> None:
    found = rows_of(
        frame([event("txn_1", 1), event("txn_1", 2), event("txn_1", 3), event("txn_1", 2, epoch=2, status="failed")])
    )
    assert settled_versions(found).sort("version").select("epoch", "version").rows() == [(1, 1), (2, 2)]


def test_a_payment_that_only_a_lost_source_had_is_a_phantom_until_it_is_taken_back() -> None:
    """Its delete stays in every store: named for ever, it would hide the next difference."""
    lost = [event("txn_9", 1), event("txn_9", 2)]
    assert set(compared(Stores([*HISTORY, *lost]))["store"]) == set(STORES)
    assert compared(Stores([*HISTORY, *lost, deleted("txn_9", 0, epoch=2)])).is_empty()


def test_a_payment_that_was_taken_back_and_is_made_again_is_compared() -> None:
    """Customers pay again under the id of the payment that was lost: it is version 1 once more, and it counts."""
    lost = [event("txn_9", 1), event("txn_9", 2), deleted("txn_9", 0, epoch=2)]
    again = event("txn_9", 1, epoch=2, status="failed")
    source = FakeSource([*HISTORY, again])
    assert compared(Stores([*HISTORY, *lost, again]), source).is_empty()
    lacking = compared(Stores([*HISTORY, *lost]), source)
    assert lacking.select("store", "kind", "transaction_id").rows() == [
        (store, "missing", "txn_9") for store in sorted(STORES)
    ]


def test_a_payment_older_than_the_stores_keep_is_not_owed_and_no_phantom_either() -> None:
    """Deleting by age takes its time; meanwhile the payment is still there, and right."""
    old = event("txn_0", 1, created_at=NOW - timedelta(days=100))
    stores = Stores([*HISTORY, old])
    assert compared(stores, FakeSource([*HISTORY, old])).is_empty()


def test_only_payments_that_changed_since_are_compared() -> None:
    stores = Stores(HISTORY)
    stores.spoil("elasticsearch", "changed")
    later = NOW - timedelta(seconds=98)
    assert compared(stores, FakeSource(HISTORY, since=later)).is_empty()
    assert not compared(stores, FakeSource(HISTORY, since=NOW - timedelta(days=1))).is_empty()


def test_what_is_in_flight_is_looked_at_again_until_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = Stores(HISTORY[:-1])
    pauses: list[float] = []

    def arrive(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            stores.__dict__.update(Stores(HISTORY).__dict__)

    monkeypatch.setattr("payments_platform.streaming.verification.time.sleep", arrive)

    def rows(place: int) -> Callable[[Wanted], pl.DataFrame]:
        def asked(wanted: Wanted) -> pl.DataFrame:
            return stores.views()[place].rows(wanted)

        return asked

    late = [replace(view, rows=rows(place)) for place, view in enumerate(stores.views())]
    assert verify(FakeSource(HISTORY), late, 60, lambda _: None).is_empty()
    assert len(pauses) == 2


def lacking(stores: Stores, consumer: str) -> set[str]:
    """The stores that are told to lack txn_1's version 3, which this consumer refused."""
    refused = pl.DataFrame([("txn_1", 3, consumer)], schema=REFUSED, orient="row")
    views = [replace(view, refused=excused(refused, *REFUSED_BY[view.name])) for view in stores.views()]
    found = verify(FakeSource(HISTORY), views, 0, lambda _: None)
    assert set(found.select("transaction_id", "kind").rows()) <= {("txn_1", "missing"), ("txn_1", "changed")}
    return set(found["store"])


@pytest.mark.row("O9", "X2")
def test_a_version_that_the_processor_refused_is_owed_by_no_store() -> None:
    """A person decides about it; a report that named it in every store would hide what is lost."""
    stores = Stores([it for it in HISTORY if (it["transaction_id"], it["version"]) != ("txn_1", 3)])
    assert set(compared(stores)["store"]) == set(STORES)
    assert lacking(stores, "processor") == set()
    assert lacking(Stores(HISTORY), "processor") == set()


@pytest.mark.row("O9", "X2")
@pytest.mark.parametrize(
    "consumer, own",
    [
        ("sink-mongodb", {"mongodb", "mongodb states"}),
        ("sink-elasticsearch", {"elasticsearch"}),
        ("sink-lake", {"lake"}),
        ("unknown", set()),
    ],
)
def test_a_version_that_a_sink_refused_is_owed_by_all_but_its_own_store(consumer: str, own: set[str]) -> None:
    """The other stores and the topic had it: what they lack now was lost."""
    stores = Stores([it for it in HISTORY if (it["transaction_id"], it["version"]) != ("txn_1", 3)])
    assert lacking(stores, consumer) == set(STORES) - own


def test_every_view_says_which_workers_may_refuse_what_it_owes() -> None:
    assert set(REFUSED_BY) == set(NEEDS) == set(STORES)
    assert {consumer for consumers in REFUSED_BY.values() for consumer in consumers} == set(WORKERS)
