"""Times that cannot be: the document's own event first, then every border of the rules.

Belongs here: order of times and wrong clocks of one row, and the day's window. Does not: the cut at the source.
"""

import json
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from payments_platform.batch.reconcile import outside_day
from payments_platform.batch.validate import split_day
from payments_platform.contracts.catalogue import of_zone
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.rules import rules_of
from payments_platform.contracts.sample import sample

# The change event that the design document shows: captured in November 2023, created in November 2025.
EVENT = """
{"before": null,
 "after": {"transaction_id": "txn_abc123...", "merchant_id": "mer_xyz789...", "customer_id": "cus_def456...",
           "amount": 99.99, "currency": "EUR", "status": "pending", "created_at": "2025-11-06T14:32:15.123Z"},
 "source": {"db": "stripe.oltp", "table": "transaction", "lsn": 123456789},
 "op": "c", "ts_ms": 1699281135123}
"""
AT = datetime(2025, 1, 1, 12, tzinfo=UTC)


def reasons(row: pl.DataFrame) -> list[str]:
    bad: pl.DataFrame = split_day(row.lazy(), CLEAN_TRANSACTIONS).quarantined.to_native().collect()
    return bad["reasons"].to_list()


def row(**cells: object) -> pl.DataFrame:
    base = sample(RAW_TRANSACTIONS, 1)
    return base.with_columns(pl.lit(value, dtype=base.schema[name]).alias(name) for name, value in cells.items())


@pytest.mark.row("B3", "S1")
def test_the_documents_own_event_is_quarantined_for_its_clocks_alone() -> None:
    """Two years between its two clocks: landed, it would be a payment two years ahead of its own capture."""
    event = json.loads(EVENT)
    payment = {name: event["after"][name] for name in ("transaction_id", "merchant_id", "customer_id", "status")}
    written = datetime.fromtimestamp(event["ts_ms"] / 1000, UTC)
    created = datetime.fromisoformat(event["after"]["created_at"])
    found = row(
        **payment, op=event["op"], currency="EUR", amount_minor=9999, captured_minor=0, amount=None,
        created_at=created, updated_at=written,
    )  # fmt: skip
    assert (created - written).days == 731
    assert reasons(found) == ["R-clock-skew"]


@pytest.mark.row("B3")
@pytest.mark.parametrize(
    "created, expected",
    [
        (AT, []),
        (AT - timedelta(days=9000), []),
        (datetime(2000, 1, 1, tzinfo=UTC), []),
        (datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), ["R-clock-skew"]),
        (datetime(1970, 1, 1, tzinfo=UTC), ["R-clock-skew"]),
        (AT + timedelta(microseconds=1), ["R-time-order"]),
        (AT + timedelta(hours=14), ["R-time-order"]),
        (AT + timedelta(days=1), ["R-time-order"]),
        (AT + timedelta(days=1, microseconds=1), ["R-clock-skew"]),
        (datetime(9999, 12, 31, tzinfo=UTC), ["R-clock-skew"]),
    ],
)
def test_a_row_is_judged_by_its_order_or_by_its_clock_and_never_by_both(created: datetime, expected: list[str]) -> None:
    assert reasons(row(created_at=created, updated_at=AT)) == expected


@pytest.mark.row("B3")
def test_every_captured_table_is_held_to_its_clocks() -> None:
    for clean in of_zone("clean"):
        if "created_at" in clean.names:
            assert {"R-time-order", "R-clock-skew"} <= {rule.id for rule in rules_of(clean)}, clean.name


@pytest.mark.row("B3")
@pytest.mark.parametrize(
    "updated, is_inside",
    [
        (datetime(2025, 1, 1, tzinfo=UTC), True),
        (datetime(2025, 1, 1, 23, 59, 59, 999999, tzinfo=UTC), True),
        (datetime(2025, 1, 2, tzinfo=UTC), False),
        (datetime(2024, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), False),
    ],
)
def test_a_version_of_another_day_fails_the_day(updated: datetime, is_inside: bool) -> None:
    """A version after the cut is a version that a second extraction may see otherwise."""
    found = outside_day(row(updated_at=updated).lazy(), date(2025, 1, 1))
    assert found == ([] if is_inside else ["P-within-day: 1 versions were written before 2025-01-01 or after it"])
