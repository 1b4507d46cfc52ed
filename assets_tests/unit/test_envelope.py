"""Change messages: each is a row or a refusal with its class, and what the source did not send again is not lost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import polars as pl
import pytest

from assets_tests.fakes.changes import NOON, Row, changed, customer, envelope, key_of, merchant, messages, payment
from payments_platform.contracts.counters import Drift
from payments_platform.contracts.dead_letters import Fault
from payments_platform.streaming.drift import MISSING, RETYPED, UNKNOWN, drift_of
from payments_platform.streaming.envelope import PLACEHOLDER, decode
from payments_platform.streaming.shapes import CUSTOMERS, MERCHANTS, TRANSACTIONS

COMMIT = NOON + timedelta(seconds=1)


@pytest.mark.row("S2")
def test_creates_updates_and_snapshots_become_rows_by_contract() -> None:
    odd = payment(
        2,
        amount="-0.0001",
        amount_minor=2**62,
        created_at="9999-12-31T23:59:59.999999Z",
        updated_at="0001-01-01T00:00:00Z",
        description='line\nbreak "quoted" 日本',
        status=None,
        currency=None,
    )
    batch = [changed(payment(1)), changed(payment(1, 2, status="succeeded"), payment(1)), changed(odd, op="r")]
    rows, refused = (decoded := decode(messages(batch), TRANSACTIONS)).changes, decoded.refused
    assert refused.is_empty()
    assert rows.select(TRANSACTIONS.columns.names()).schema == TRANSACTIONS.columns
    assert rows["version"].to_list() == [1, 2, 1]
    assert rows["before_status"].to_list() == [None, "processing", None]
    assert rows["committed_at"].to_list() == [COMMIT, COMMIT, None]
    assert rows["is_snapshot"].to_list() == [False, False, True]
    assert rows["epoch"].to_list() == [1, 1, 1]
    assert rows["amount"].to_list() == [Decimal("12.5"), Decimal("12.5"), Decimal("-0.0001")]
    assert rows["created_at"][2] == datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert rows["description"][2] == 'line\nbreak "quoted" 日本'
    assert rows["offset"].to_list() == [0, 1, 2]


def test_a_delete_is_the_row_as_it_was_one_version_later_and_its_tombstone_is_nothing() -> None:
    last = payment(1, 4, status="refunded")
    decoded = decode(messages([changed(None, last), (key_of(last), None)]), TRANSACTIONS)
    row = decoded.changes.row(0, named=True)
    assert decoded.changes.height == 1
    assert decoded.refused.is_empty()
    assert (row["op"], row["is_deleted"], row["version"], row["status"]) == ("d", True, 5, "refunded")
    assert row["description"] == "Order 1"
    assert row["updated_at"] == COMMIT


def test_a_value_too_large_to_be_sent_again_is_taken_from_before() -> None:
    """Taken for a value, the placeholder would overwrite the real one in every store."""
    before, after = payment(1, metadata="x" * 5000), payment(1, 2, metadata=PLACEHOLDER)
    unknown = payment(2, 2, metadata=PLACEHOLDER)
    batch = messages([changed(payment(3)), changed(after, before), changed(unknown, op="u")])
    decoded = decode(batch, TRANSACTIONS)
    assert decoded.changes["metadata"].to_list() == ['{"order": "1"}', "x" * 5000]
    assert decoded.changes["transaction_id"].to_list() == ["txn_3", "txn_1"]
    assert decoded.refused["fault"].to_list() == [Fault.ENVELOPE]


BAD: dict[str, tuple[tuple[bytes | None, bytes], Fault]] = {
    "not JSON": ((key_of(payment(1)), b"\xff{"), Fault.NOT_JSON),
    "two objects": ((key_of(payment(1)), b"{}{}"), Fault.NOT_JSON),
    "a list": ((key_of(payment(1)), b"[1]"), Fault.NOT_JSON),
    "empty object": ((key_of(payment(1)), b"{}"), Fault.ENVELOPE),
    "unknown op": (changed(payment(1), op="x"), Fault.ENVELOPE),
    "a delete without before": ((key_of(payment(1)), envelope(None, op="d")), Fault.TYPE),
    "no epoch": (changed(payment(1), epoch=None), Fault.EPOCH),
    "an epoch that is none": (changed(payment(1), epoch="secret"), Fault.EPOCH),
    "epoch zero": (changed(payment(1), epoch=0), Fault.EPOCH),
    "text for a number": (changed(payment(1, amount_minor="secret")), Fault.TYPE),
    "a decimal that is none": (changed(payment(1, amount="secret")), Fault.TYPE),
    "a decimal out of range": (changed(payment(1, amount="1" * 30)), Fault.TYPE),
    "a time that is none": (changed(payment(1, created_at="secret")), Fault.TYPE),
    "a version out of range": (changed({**payment(1), "version": 2**40}), Fault.TYPE),
    "no version": (changed({**payment(1), "version": None}), Fault.TYPE),
    "another row's key": ((key_of(payment(2)), envelope(payment(1))), Fault.KEY),
    "no key": ((None, envelope(payment(1))), Fault.KEY),
    "a key with more": ((b'{"transaction_id":"txn_1","created_at":"x"}', envelope(payment(1))), Fault.KEY),
    "a key that is no text": ((b"\xff", envelope(payment(1))), Fault.KEY),
}


@pytest.mark.row("E3")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_is_refused_with_its_class_and_no_value_of_it_and_its_neighbours_are_read(name: str) -> None:
    bad, fault = BAD[name]
    decoded = decode(messages([changed(payment(7)), bad, changed(payment(8))]), TRANSACTIONS)
    assert decoded.changes["transaction_id"].to_list() == ["txn_7", "txn_8"]
    assert decoded.changes["offset"].to_list() == [0, 2]
    refused = decoded.refused.row(0, named=True)
    assert (refused["offset"], refused["key"], refused["value"], refused["fault"]) == (1, *bad, fault)
    assert refused["refusal"]
    assert "secret" not in refused["refusal"]


@pytest.mark.row("E3")
def test_every_message_of_a_mixed_batch_is_a_change_or_refused_once() -> None:
    bad = [one for one, _ in BAD.values()]
    batch = messages([pair for number, one in enumerate(bad) for pair in (changed(payment(number)), one)])
    decoded = decode(batch, TRANSACTIONS)
    assert decoded.changes["offset"].to_list() == list(range(0, 2 * len(bad), 2))
    assert decoded.refused["offset"].to_list() == list(range(1, 2 * len(bad), 2))
    assert decoded.refused["fault"].to_list() == [fault for _, fault in BAD.values()]


def test_a_key_that_json_writes_in_another_way_is_the_same_key() -> None:
    row = payment(1, transaction_id='a"\u00e9\\b')
    key = b'{"transaction_id":"a\\u0022\\u00e9\\\\b"}'
    assert decode(messages([(key, envelope(row))]), TRANSACTIONS).refused.is_empty()


def test_customers_and_merchants_are_read_by_the_same_rules() -> None:
    assert decode(messages([changed(customer()), changed(None, customer(version=3))]), CUSTOMERS).changes[
        "version"
    ].to_list() == [1, 4]
    assert decode(messages([changed(merchant())]), MERCHANTS).refused.is_empty()


def test_an_empty_batch_is_no_change() -> None:
    decoded = decode(messages([]), TRANSACTIONS)
    assert decoded.changes.is_empty()
    assert decoded.refused.is_empty()


def without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.row("E3")
@pytest.mark.parametrize(
    "row,drift",
    [
        (payment(1, risk="high"), Drift("transactions", "risk", UNKNOWN)),
        (without(payment(1), "load_id"), Drift("transactions", "load_id", MISSING)),
        (payment(1, amount_minor="1250"), Drift("transactions", "amount_minor", RETYPED)),
        (payment(1, ip_address=17), Drift("transactions", "ip_address", RETYPED)),
    ],
    ids=lambda value: value.column if isinstance(value, Drift) else "",
)
def test_a_changed_table_is_told_by_its_column(row: Row, drift: Drift) -> None:
    batch = messages([changed(payment(2)), changed(payment(3)), changed(row)])
    assert drift_of(batch, TRANSACTIONS) == {drift}


def test_an_unchanged_table_and_messages_that_are_none_drift_nowhere() -> None:
    batch = messages([(b"k", b"junk"), changed(payment(1)), (b"k", orjson.dumps({"after": 3}))])
    assert drift_of(batch, TRANSACTIONS) == frozenset()
    assert drift_of(messages([changed(None, payment(1)), (b"k", None)]), TRANSACTIONS) == frozenset()
    assert drift_of(pl.DataFrame(schema=batch.schema), TRANSACTIONS) == frozenset()


def test_a_column_that_came_leaves_the_others_readable() -> None:
    decoded = decode(messages([changed(payment(1, risk="high"))]), TRANSACTIONS)
    assert decoded.changes["load_id"].to_list() == [None]
    assert decoded.refused.is_empty()


@pytest.mark.row("X14")
@pytest.mark.parametrize("name", ["status", "description", "load_id"])
def test_a_change_without_a_column_is_refused_and_one_where_it_is_null_is_not(name: str) -> None:
    """Renamed at the source, a column would reach every store as null, under a position that no later write mends."""
    gone, empty = without(payment(1), name), {**payment(2), name: None}
    quoting = {**payment(3), name: None, "metadata": f'{{"{name}": "{name}"}}'}
    for op in ("c", "r"):
        decoded = decode(messages([changed(gone, op=op), changed(empty, op=op), changed(quoting, op=op)]), TRANSACTIONS)
        assert decoded.changes["transaction_id"].to_list() == ["txn_2", "txn_3"]
        assert decoded.refused["fault"].to_list() == [Fault.TYPE]
        assert decoded.refused["refusal"].to_list() == [f"no column {name}: renamed or dropped at the source"]
    deleted = decode(messages([changed(None, gone), changed(None, empty)]), TRANSACTIONS)
    assert (deleted.changes.height, deleted.refused.height) == (1, 1)


@pytest.mark.row("X14")
def test_a_name_that_the_envelope_has_too_does_not_hide_a_missing_column() -> None:
    assert b'"name"' in envelope(without(merchant(), "name"))
    decoded = decode(
        messages([changed(without(merchant(), "name")), changed({**merchant("mer_2"), "name": None})]), MERCHANTS
    )
    assert decoded.changes["merchant_id"].to_list() == ["mer_2"]
    assert decoded.refused["fault"].to_list() == [Fault.TYPE]
