"""One suite for every store that merges events: the fakes of the unit tests, and the real servers.

Belongs here: what a sink promises whatever the store. Does not: the lake, which keeps every message
(unit/test_lake_sink), what one store alone does (unit/test_store_sinks).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from assets_tests.conftest import Stack
from assets_tests.fakes import events as made
from assets_tests.fakes.documents import MemoryCollection
from assets_tests.fakes.events import Event, deliveries, event, frame
from assets_tests.fakes.search import MemoryElasticsearch
from payments_platform.clients import elasticsearch, mongodb
from payments_platform.contracts.streams import FULL, PARTIAL
from payments_platform.operations.errors import classify
from payments_platform.search.transactions import PATTERN
from payments_platform.streaming.sinks.elasticsearch import ElasticsearchSink
from payments_platform.streaming.sinks.mongodb import MongoSink
from payments_platform.streaming.sinks.protocol import Sink, Span

STORES = ("mongodb", "elasticsearch")
# What a fake calls the payments that it does not write, each with the server's reason.
REFUSING = {"mongodb": "refusing", "elasticsearch": "failing"}
FAKES = [f"fake {name}" for name in STORES]
REAL = [pytest.param(f"real {name}", marks=pytest.mark.integration) for name in STORES]
# What a reader is told beside the position; the rest of the fields travels with them in one document.
FIELDS = (
    "transaction_id", "epoch", "version", "enrichment", "status", "is_deleted", "captured_minor", "description",
    "merchant_name", "customer_segment", "currency", "created_at", "updated_at",
)  # fmt: skip


@dataclass
class Store:
    """A sink over an empty store, and ways to make the store fail: for all, or for the writing of some payments."""

    sink: Sink
    set_away: Callable[[bool], None] | None = None
    set_read_only: Callable[[bool], None] | None = None


@pytest.fixture(params=[*FAKES, *REAL])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    kind, name = request.param.split()
    yield from fake(name) if kind == "fake" else real(name, request.getfixturevalue("stream_stack"))


def fake(name: str) -> Iterator[Store]:
    sink: Any
    double: Any = MemoryCollection() if name == "mongodb" else MemoryElasticsearch()
    sink = MongoSink(double) if name == "mongodb" else ElasticsearchSink(double, lambda: made.NOW)
    sink.prepare()

    def set_read_only(is_read_only: bool) -> None:
        no_right: Any = 13 if name == "mongodb" else (403, {"type": "security_exception", "reason": "unauthorized"})
        setattr(double, REFUSING[name], {"txn_1": no_right, "txn_2": no_right} if is_read_only else {})

    yield Store(sink, lambda is_away: setattr(double, "is_away", is_away), set_read_only)


def real(name: str, stack: Stack) -> Iterator[Store]:
    if name == "mongodb":
        with mongodb.connect(stack.settings.mongodb_uri()) as client:
            sink: Any = MongoSink(client[f"probe_{uuid4().hex[:8]}"].transaction_logs)
            sink.prepare()
            yield Store(sink)
            sink.clear()
        return
    with elasticsearch.connect(stack.settings.elasticsearch_url()) as engine:
        sink = ElasticsearchSink(engine, lambda: made.NOW)
        sink.clear()

        def set_read_only(is_read_only: bool) -> None:
            engine.indices.put_settings(index=PATTERN, settings={"index.blocks.write": is_read_only})

        yield Store(sink, set_read_only=set_read_only)
        sink.clear()


def shown(sink: Sink) -> list[tuple[object, ...]]:
    """What the store says of all payments."""
    return sorted(sink.read(Span()).select(FIELDS).with_columns(_MILLISECONDS).rows())


def expected(events: list[Event]) -> list[tuple[object, ...]]:
    """What it must say."""
    rows = frame([*made.current(events).values()]).select(FIELDS).with_columns(_MILLISECONDS)
    return sorted(rows.rows())


# BSON's times have milliseconds.
_MILLISECONDS = pl.col("created_at", "updated_at").dt.truncate("1ms")


def write(sink: Sink, events: list[Event], size: int = 100) -> None:
    for part in made.batches(events, size):
        assert sink.write(part).is_empty()


@pytest.mark.row("S3", "S4", "Y3", "Y4", "O3")
def test_any_order_delay_and_repetition_ends_in_the_same_documents(store: Store) -> None:
    """A store that depends on who comes first shows a refunded payment as paid, until somebody looks."""
    is_fake = store.set_away is not None

    @settings(
        max_examples=60 if is_fake else 4, database=None, derandomize=not is_fake,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip
    @given(deliveries())
    def property_holds(events: list[Event]) -> None:
        store.sink.clear()
        write(store.sink, events, 3)
        assert shown(store.sink) == expected(events)
        in_order = store.sink.read(Span()).sort("transaction_id")
        store.sink.clear()
        write(store.sink, sorted(events, key=made.position))
        assert store.sink.read(Span()).sort("transaction_id").equals(in_order), "whole documents"

    property_holds()


@pytest.mark.row("S3", "S4", "Y3")
def test_writing_again_what_was_written_changes_nothing(store: Store) -> None:
    events = [event("txn_1", 2), event("txn_1", 1), event("txn_2", 1)]
    write(store.sink, events)
    before = store.sink.read(Span()).sort("transaction_id")
    write(store.sink, events)
    assert store.sink.read(Span()).sort("transaction_id").equals(before)


@pytest.mark.row("Y4")
def test_a_delete_stays_a_delete_when_older_versions_come_late(store: Store) -> None:
    """A forgotten delete would let a late version bring the payment back."""
    write(store.sink, [made.deleted("txn_1", 3)])
    write(store.sink, [event("txn_1", 2), event("txn_1", 1)])
    found = store.sink.read(["txn_1"])
    assert found.select("version", "is_deleted").rows() == [(3, True)]


@pytest.mark.row("S2", "Y4")
def test_a_full_event_replaces_a_partial_one_and_never_the_other_way(store: Store) -> None:
    write(store.sink, [event("txn_1", 1, PARTIAL), event("txn_1", 1, FULL), event("txn_1", 1, PARTIAL)])
    found = store.sink.read(["txn_1"])
    assert found["enrichment"].to_list() == [FULL]
    assert found["merchant_name"].null_count() == 0


@pytest.mark.row("Y4")
def test_a_higher_epoch_wins_over_any_version_of_the_life_before(store: Store) -> None:
    """After a failover the same version number is another row: what did not survive must not stay."""
    write(store.sink, [event("txn_1", 2, epoch=2, status="failed"), event("txn_1", 9)])
    assert store.sink.read(["txn_1"]).select("epoch", "version", "status").rows() == [(2, 2, "failed")]


@pytest.mark.row("S10")
def test_a_cleared_store_is_empty_and_can_be_filled_again(store: Store) -> None:
    write(store.sink, [event("txn_1"), event("txn_2")])
    store.sink.clear()
    assert store.sink.read(Span()).is_empty()
    store.sink.prepare()
    write(store.sink, [event("txn_2")])
    assert store.sink.read(Span())["transaction_id"].to_list() == ["txn_2"]


def test_payments_are_found_by_id_and_by_a_span_of_ids(store: Store) -> None:
    ids = [f"txn_{n}" for n in range(8)]
    write(store.sink, [event(it) for it in ids])
    assert sorted(store.sink.read(["txn_3", "txn_5", "txn_none"])["transaction_id"]) == ["txn_3", "txn_5"]
    for span, wanted in ((Span("txn_3", "txn_6"), ids[3:6]), (Span(None, "txn_2"), ids[:2]), (Span("txn_7"), ids[7:])):
        assert sorted(store.sink.read(span)["transaction_id"]) == wanted
    assert store.sink.read([]).is_empty()


@pytest.mark.row("O9", "X2")
@pytest.mark.parametrize("store", ["fake mongodb", REAL[0]], indirect=True)
@pytest.mark.parametrize("other_id", ["zzz", 7], ids=["a text", "a number"])
def test_a_second_document_of_a_payment_is_met_once_by_a_walk_and_found_again_by_the_payment(
    store: Store, other_id: object
) -> None:
    sink: Any = store.sink
    write(sink, [event("txn_1"), event("txn_2")])
    (document,) = sink._collection.find({"_id": {"$in": ["txn_1"]}})
    sink._collection.insert_one({**document, "_id": other_id})
    spans = (Span(None, "txn_2"), Span("txn_2", None))
    walked = [it for span in spans for it in sink.read(span)["transaction_id"]]
    assert sorted(walked) == ["txn_1", "txn_1", "txn_2"]
    assert sink.read(["txn_1"]).height == 2


@pytest.mark.row("E1")
@pytest.mark.parametrize("store", FAKES, indirect=True)
def test_a_store_that_is_away_is_tried_again_and_loses_nothing(store: Store) -> None:
    assert store.set_away is not None
    store.set_away(True)
    with pytest.raises(Exception, match=r"refused|Connection error") as raised:
        store.sink.write(frame([event("txn_1")]))
    assert classify(raised.value) == "transient"
    store.set_away(False)
    write(store.sink, [event("txn_1")])
    assert store.sink.read(Span()).height == 1


@pytest.mark.row("E1", "E2")
@pytest.mark.parametrize("store", [*FAKES, REAL[1]], indirect=True)
def test_a_store_that_takes_no_writes_stops_the_worker_and_refuses_no_record(store: Store) -> None:
    """Refusing record by record what is wrong with the store would empty the topic into the dead letters."""
    assert store.set_read_only is not None
    write(store.sink, [event("txn_1")])
    store.set_read_only(True)
    with pytest.raises(Exception, match=r"forbidden|unauthorized|FORBIDDEN|batch op errors") as raised:
        store.sink.write(frame([event("txn_1", 2), event("txn_2")]))
    assert classify(raised.value) == "permanent"
    store.set_read_only(False)
    write(store.sink, [event("txn_1", 2), event("txn_2")])
    assert shown(store.sink) == expected([event("txn_1", 2), event("txn_2")])


def test_times_are_those_of_the_source(store: Store) -> None:
    at = datetime.fromisoformat("2026-11-24T01:02:03.456789Z")
    write(store.sink, [event("txn_1", created_at=at)])
    found = store.sink.read(["txn_1"])["created_at"].item()
    assert abs(found - at).total_seconds() < 0.001
