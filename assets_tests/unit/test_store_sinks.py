"""What one store alone does: MongoDB's updates and refusals, Elasticsearch's indices, versions and bulk answers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest
from bson import BSON
from elasticsearch import ApiError
from pymongo.errors import BulkWriteError, OperationFailure, ServerSelectionTimeoutError

from assets_tests.fakes.documents import MemoryCollection
from assets_tests.fakes.events import NOW, deleted, event, frame
from assets_tests.fakes.search import MemoryElasticsearch
from payments_platform.contracts.dataset import Pii
from payments_platform.contracts.stores import (
    IMMUTABLE,
    KEPT,
    LIFECYCLE,
    SEARCH_TRANSACTIONS,
    SEARCHED_TEXTS,
    STATE,
    STORE_RETENTION,
    TRANSACTION_LOGS,
)
from payments_platform.contracts.streams import EVENT_POSITION, PARTIAL
from payments_platform.documents.transaction_logs import frame_of, served, updates
from payments_platform.operations.errors import classify
from payments_platform.search.transactions import ALIAS, day_of_index, external_version, index_of, placed, template
from payments_platform.streaming.conflicts import CONFLICTS
from payments_platform.streaming.sinks.bulk_answers import EngineRefuses
from payments_platform.streaming.sinks.elasticsearch import ElasticsearchSink
from payments_platform.streaming.sinks.mongodb import MongoSink
from payments_platform.streaming.sinks.protocol import Span, StoreBusy


def mongo() -> tuple[MongoSink, MemoryCollection]:
    held = MemoryCollection()
    sink = MongoSink(cast("Any", held))
    sink.prepare()
    return sink, held


def engine(now: datetime = NOW) -> tuple[ElasticsearchSink, MemoryElasticsearch]:
    held = MemoryElasticsearch()
    sink = ElasticsearchSink(cast("Any", held), lambda: now)
    sink.prepare()
    return sink, held


def test_the_position_comes_first_in_what_documents_are_compared_by() -> None:
    """MongoDB compares field by field: were another field first, a text would decide which version is the later."""
    assert STATE[:3] == LIFECYCLE[:3] == EVENT_POSITION
    _, update = next(updates(frame([event("txn_1")])))
    assert tuple(update["$max"]["current"])[:3] == EVENT_POSITION
    assert next(iter(update["$max"]["states.1-1"])) == "enrichment"


@pytest.mark.row("N1")
def test_a_document_shows_every_state_in_order_and_partial_ones_made_full() -> None:
    sink, _ = mongo()
    sink.write(frame([event("txn_1", 3), event("txn_1", 1, PARTIAL), deleted("txn_1", 4), event("txn_1", 2)]))
    sink.write(frame([event("txn_1", 1), event("txn_1", 1, epoch=2)]))
    found = sink.states(["txn_1"])
    assert found.select("epoch", "version", "enrichment", "is_deleted").rows() == [
        (1, 1, 1, False), (1, 2, 1, False), (1, 3, 1, False), (1, 4, 1, True), (2, 1, 1, False),
    ]  # fmt: skip
    assert found["captured_minor"].to_list() == [10, 20, 30, 40, 10]


@pytest.mark.row("Y4")
def test_a_partial_event_leaves_what_never_changes_as_it_was() -> None:
    sink, held = mongo()
    sink.write(frame([event("txn_1", 1, merchant_id=None), event("txn_1", 2)]))
    sink.write(frame([event("txn_1", 3, merchant_id=None)]))
    assert held.stored["txn_1"]["merchant_id"] == "mer_sample"


@pytest.mark.row("N1")
def test_documents_have_the_indexes_and_the_days_of_their_contract() -> None:
    _, held = mongo()
    keys = [fields for fields, _ in held.indexes.values()]
    assert [("merchant_id", 1), ("created_at", -1)] in keys
    assert [("customer_token", 1), ("created_at", -1)] in keys
    assert [("current.status", 1), ("current.updated_at", -1)] in keys
    expiring = [(fields, options) for fields, options in held.indexes.values() if options]
    assert expiring == [([("created_at", 1)], {"expireAfterSeconds": 90 * 86_400})]
    columns = {*TRANSACTION_LOGS.names, *(f"current.{name}" for name in STATE), "_id"}
    assert {path for fields in keys for path, _ in fields} <= columns


def test_what_is_personal_never_reaches_a_store() -> None:
    """A copy of an address or a device would be one more that erasure has to find."""
    kept = {column.name for column in KEPT}
    assert {"ip_address", "device_id", "customer_id"} & kept == set()
    assert [column.name for column in KEPT if column.pii is Pii.PERSONAL] == []
    sink, held = mongo()
    search, indices = engine()
    events = frame([event("txn_1", ip_address="203.0.113.99", device_id="dev_secret", customer_id="cus_secret")])
    sink.write(events)
    search.write(events)
    written = f"{held.stored} {indices.stored}"
    assert "secret" not in written
    assert "203.0.113.99" not in written


def test_a_served_document_follows_its_contract() -> None:
    sink, held = mongo()
    sink.write(frame([event("txn_1"), event("txn_1", 2)]))
    document = held.stored["txn_1"]
    assert set(served(document)) == set(TRANSACTION_LOGS.names)
    assert frame_of([document]).schema == TRANSACTION_LOGS.schema
    assert set(IMMUTABLE) <= set(document)


@pytest.mark.row("S8", "E3")
def test_a_refused_document_is_named_and_its_neighbours_are_written() -> None:
    sink, held = mongo()
    held.refusing = {"txn_1": 17419, "txn_3": 2}
    refused = sink.write(frame([event(f"txn_{n}") for n in range(5)], first=10))
    assert refused.select("partition", "offset", "fault").rows() == [(0, 11, "oversize"), (0, 13, "refused-by-store")]
    assert sorted(held.stored) == ["txn_0", "txn_2", "txn_4"]


@pytest.mark.row("E3")
def test_what_the_driver_cannot_send_is_found_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """One such value would keep its whole batch from every attempt, for ever."""
    sink, held = mongo()
    whole = held.bulk_write

    def encoding(changes: list[Any], *, ordered: bool) -> None:
        for change in changes:
            BSON.encode(change._doc["$set"])
        whole(changes, ordered=ordered)

    monkeypatch.setattr(held, "bulk_write", encoding)
    bad = "surrogate \ud800"
    events = frame([event(f"txn_{n}") for n in range(9)])
    monkeypatch.setattr(
        "payments_platform.streaming.sinks.mongodb.updates",
        lambda it: (
            (key, {**update, "$set": {**update["$set"], "merchant_id": bad}} if key == "txn_6" else update)
            for key, update in updates(it)
        ),
    )
    refused = sink.write(events)
    assert refused["offset"].to_list() == [6]
    assert bad not in str(refused.rows())
    assert len(held.stored) == 8


@pytest.mark.row("E1", "E2")
def test_a_busy_server_is_asked_again_and_an_unknown_error_stops_the_worker() -> None:
    """Refusing record by record what is wrong with the server would empty the topic into the dead letters."""
    sink, held = mongo()
    held.refusing = {"txn_0": 11000, "txn_1": 2}
    with pytest.raises(StoreBusy) as busy:
        sink.write(frame([event("txn_0"), event("txn_1")]))
    assert classify(busy.value) == "transient"
    held.refusing = {"txn_0": 13}
    with pytest.raises(BulkWriteError) as refused:
        sink.write(frame([event("txn_0")]))
    assert classify(refused.value) == "permanent"
    assert classify(ServerSelectionTimeoutError("no server")) == "transient"
    assert classify(OperationFailure("stepped down", 189)) == "transient"
    assert classify(OperationFailure("not allowed", 13)) == "permanent"


@pytest.mark.row("S4")
def test_a_payment_lies_in_the_index_of_its_day_for_life() -> None:
    """An index by the clock of the writer would hold a payment twice once it changes on another day."""
    sink, held = engine()
    night = datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=UTC)
    sink.write(frame([event("txn_1", 1, created_at=night), event("txn_1", 2, created_at=night, updated_at=NOW)]))
    assert list(held.stored) == ["transactions-2026.11.23"]
    assert day_of_index("transactions-2026.11.23") == night.date()
    assert index_of(night.date()) == "transactions-2026.11.23"
    assert day_of_index("transactions-old") is None


@pytest.mark.row("S4", "S8")
def test_a_payment_outside_the_days_kept_goes_to_the_dead_letters() -> None:
    """An index of a day long gone is deleted at once, and one of the year 9999 never."""
    sink, held = engine()
    first = (NOW - STORE_RETENTION).replace(hour=0)
    times = [first, first - timedelta(microseconds=1), NOW + timedelta(days=1), NOW + timedelta(days=1, seconds=1)]
    refused = sink.write(frame([event(f"txn_{n}", created_at=at) for n, at in enumerate(times)]))
    assert refused.select("offset", "fault").rows() == [(1, "out-of-retention"), (3, "out-of-retention")]
    assert sum(len(index) for index in held.stored.values()) == 2


@pytest.mark.row("Y4")
@pytest.mark.parametrize(
    "lower, higher",
    [((1, 1, 0), (1, 1, 1)), ((1, 1, 1), (1, 2, 0)), ((1, 2**31 - 1, 1), (2, 1, 0)), ((1, 0, 0), (2**21 - 1, 0, 0))],
)
def test_the_version_orders_as_the_position_does(lower: tuple[int, ...], higher: tuple[int, ...]) -> None:
    rows = pl.DataFrame([lower, higher], schema=list(EVENT_POSITION), orient="row")
    low, high = rows.select(external_version()).to_series()
    assert 0 <= low < high < 2**63


@pytest.mark.row("S8")
def test_a_position_that_no_version_can_hold_is_refused_and_never_wraps_round() -> None:
    """A number that wrapped round would be below every version there is, and the payment stand still for ever."""
    events = frame([event("txn_1", epoch=2**21), event("txn_2", epoch=-1), event("txn_3", epoch=2**21 - 1)])
    found = placed(events, NOW)
    assert found["refusal"].is_null().to_list() == [False, False, True]
    sink, _ = engine()
    assert sink.write(events)["fault"].to_list() == ["type", "type"]


@pytest.mark.row("S8")
def test_an_id_that_the_engine_takes_for_none_is_refused_alone() -> None:
    """One such document costs the whole request, and with it every payment behind it."""
    events = frame([event("t" * 513), event("é" * 257), event(""), event("t" * 512)])
    sink, held = engine()
    refused = sink.write(events)
    assert refused.select("offset", "fault").rows() == [(0, "type"), (1, "type"), (2, "type")]
    assert sum(len(index) for index in held.stored.values()) == 1


@pytest.mark.row("S4")
def test_a_search_never_finds_what_was_deleted_though_its_document_stays() -> None:
    sink, held = engine()
    sink.write(frame([event("txn_1"), event("txn_2"), deleted("txn_2", 2)]))
    hits = held.search(query={"match_all": {}}, size=10, index=ALIAS)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["txn_1"]
    assert sink.read(Span()).height == 2
    assert template()["template"]["aliases"] == {ALIAS: {"filter": {"term": {"is_deleted": False}}}}


@pytest.mark.row("E1")
def test_documents_put_off_are_written_again_and_nothing_else_changes() -> None:
    sink, held = engine()
    held.busy = {"txn_1"}
    events = frame([event("txn_0"), event("txn_1"), event("txn_2")])
    with pytest.raises(StoreBusy):
        sink.write(events)
    assert sink.write(events).is_empty()
    assert sorted(sink.read(Span())["transaction_id"]) == ["txn_0", "txn_1", "txn_2"]


@pytest.mark.row("S8", "E3")
@pytest.mark.parametrize(
    "status, error, fault",
    [
        (400, {"type": "document_parsing_exception", "reason": "Preview of field's value: 'Ada'"}, "refused-by-store"),
        (400, {"type": "mapper_parsing_exception", "reason": "failed to parse 'Ada'"}, "refused-by-store"),
        (400, {"type": "illegal_argument_exception", "reason": "immense term 'Ada'",
               "caused_by": {"type": "max_bytes_length_exceeded_exception"}}, "refused-by-store"),
        (413, {"type": "document_too_large", "reason": "Ada"}, "oversize"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_document_is_a_dead_letter_that_quotes_no_value(
    status: int, error: dict[str, Any], fault: str
) -> None:
    sink, held = engine()
    held.failing = {"txn_1": (status, error)}
    refused = sink.write(frame([event(f"txn_{n}") for n in range(3)]))
    assert refused.select("offset", "fault").rows() == [(1, fault)]
    assert refused["refusal"].item() == f"Elasticsearch refuses it: {error['type']} (status {status})"
    assert sorted(sink.read(Span())["transaction_id"]) == ["txn_0", "txn_2"]


@pytest.mark.row("E1", "E2")
@pytest.mark.parametrize(
    "status, kind, reason, says",
    [
        (401, "security_exception", "missing authentication credentials", "Let the account"),
        (403, "security_exception", "action is unauthorized for user [reader]", "user [reader]. None"),
        (403, "cluster_block_exception", "index [i] blocked by: [FORBIDDEN/8/index write (api)];", "Remove the block"),
        (404, "index_not_found_exception", "no such index [transactions-2026.11.24]", "[transactions-2026.11.24]"),
        (400, "index_closed_exception", "closed", "Open the index"),
        (400, "validation_exception", "this action would add [2] shards", "would add [2] shards"),
        (400, "strict_dynamic_mapping_exception", "introduction of [new]", "payments rebuild elasticsearch"),
        (400, "illegal_argument_exception", "pipeline of Ada 7", "illegal_argument_exception: aaaaaaaa aa aaa 9."),
        (500, "null_pointer_exception", "Ada", "status 500, null_pointer_exception: aaa. None became a dead letter."),
        (302, "new_exception", "Ada", "Read the log of the engine"),
    ],
)
def test_what_is_wrong_with_the_engine_stops_the_worker_and_says_what_to_do(
    status: int, kind: str, reason: str, says: str
) -> None:
    """Refusing record by record what is wrong with an index or an account would empty the topic."""
    sink, held = engine()
    held.failing = {"txn_1": (status, {"type": kind, "reason": reason})}
    held.busy = {"txn_2"}
    with pytest.raises(EngineRefuses) as raised:
        sink.write(frame([event(f"txn_{n}") for n in range(3)]))
    assert classify(raised.value) == "permanent"
    assert says in str(raised.value)
    assert "Ada" not in str(raised.value)
    held.failing = {}
    assert sink.write(frame([event(f"txn_{n}") for n in range(3)])).is_empty()


@pytest.mark.row("E1")
@pytest.mark.parametrize(
    "status, block", [(403, "FORBIDDEN/12/index read-only / allow delete (api)"), (429, "TOO_MANY_REQUESTS/12/disk")]
)
def test_a_full_disk_is_waited_for(status: int, block: str) -> None:
    """The engine blocks its indices then, and takes the block away by itself when there is room."""
    sink, held = engine()
    held.failing = {
        "txn_1": (status, {"type": "cluster_block_exception", "reason": f"index [i] blocked by: [{block}];"})
    }
    with pytest.raises(StoreBusy, match=r"1 of 1 documents of a batch \(cluster_block_exception\)") as busy:
        sink.write(frame([event("txn_1")]))
    assert classify(busy.value) == "transient"


@pytest.mark.row("E1")
@pytest.mark.parametrize("refusals, waited", [(2, [0.5, 1.0]), (7, None)])
def test_a_full_memory_is_waited_for_by_who_reads(
    monkeypatch: pytest.MonkeyPatch, refusals: int, waited: list[float] | None
) -> None:
    """Verification of a million documents ended where the engine's heap was full for a moment."""
    sink, held = engine()
    sink.write(frame([event("txn_1")]))
    slept: list[float] = []
    monkeypatch.setattr("payments_platform.streaming.sinks.elasticsearch.time.sleep", slept.append)
    answer, full = held.search, iter(range(refusals))

    def search(**request: Any) -> Any:  # noqa: ANN401 - as the client has them
        if next(full, None) is not None:
            raise ApiError("circuit_breaking_exception", cast("Any", SimpleNamespace(status=429)), None)
        return answer(**request)

    monkeypatch.setattr(held, "search", search)
    if waited is None:
        with pytest.raises(ApiError):
            sink.read(Span())
    else:
        assert sink.read(Span())["transaction_id"].to_list() == ["txn_1"]
        assert slept == waited


@pytest.mark.row("S4")
def test_every_field_has_a_mapping_and_texts_that_people_search_are_analysed() -> None:
    mappings = template()["template"]["mappings"]
    assert mappings["dynamic"] == "strict"
    assert list(mappings["properties"]) == list(SEARCH_TRANSACTIONS.names)
    assert {name for name, it in mappings["properties"].items() if it["type"] == "text"} == set(SEARCHED_TEXTS)
    assert mappings["properties"]["transaction_id"]["type"] == "keyword"
    assert mappings["properties"]["amount_minor"]["type"] == "long"


@pytest.mark.row("G5")
def test_indices_of_days_no_longer_kept_are_deleted_by_name() -> None:
    sink, held = engine()
    sink.write(frame([event("txn_1", created_at=NOW - timedelta(days=90)), event("txn_2")]))
    later = ElasticsearchSink(cast("Any", held), lambda: NOW + timedelta(days=1))
    assert later.expire() == [index_of((NOW - timedelta(days=90)).date())]
    assert later.read(Span())["transaction_id"].to_list() == ["txn_2"]


@pytest.mark.row("S4")
def test_no_other_index_comes_into_being_by_being_written_to() -> None:
    _, held = engine()
    assert held.settings == {"action.auto_create_index": "+transactions-*,-*"}


@pytest.mark.row("Y4")
def test_of_one_position_with_other_names_the_same_document_stays_whatever_the_order() -> None:
    """A merchant renamed between two snapshots: what MongoDB shows must not depend on who came last."""
    first, second = event("txn_1", merchant_name="Before"), event("txn_1", merchant_name="After")
    stored = []
    for order in ([first, second], [second, first]):
        sink, held = mongo()
        sink.write(frame(order))
        stored.append(held.stored)
        search, _ = engine()
        search.write(frame(order))
        assert search.read(Span())["merchant_name"].to_list() == [order[0]["merchant_name"]]
    assert stored[0] == stored[1]


@pytest.mark.row("Y4")
def test_a_store_judges_no_status_and_keeps_what_it_is_given() -> None:
    """The processor has judged already: a change that a person released and replayed must arrive."""
    events = frame([event("txn_1", 1, status="refunded"), event("txn_1", 2, status="pending")])
    for sink in (mongo()[0], engine()[0]):
        assert sink.write(events).is_empty()
        assert sink.read(Span())["status"].to_list() == ["pending"]


@pytest.mark.row("Y4")
def test_every_line_of_the_table_of_conflicts_names_tests_that_exist() -> None:
    tests = Path(__file__).parents[1]
    for conflict in CONFLICTS:
        assert conflict.shown_by
        for shown in conflict.shown_by:
            file, _, name = shown.partition("::")
            assert f"def {name}(" in (tests / file).read_text(encoding="utf-8"), shown
