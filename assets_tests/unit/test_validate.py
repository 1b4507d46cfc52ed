"""The split of a day: no row lost, no row made, the right one of each key clean."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_tests.fakes.storage import MemoryStorage
from payments_platform.batch.errors import UnknownColumn
from payments_platform.batch.validate import Split, day_problems, split, split_day
from payments_platform.contracts import catalogue
from payments_platform.contracts.dataset import Rule, Severity
from payments_platform.contracts.pandera_schema import duplicate_keys
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, QUARANTINE_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.lake.partitions import Lake

RULES = (
    Rule("R-amount-sign", Severity.ROW, "amount must not be negative", nw.col("amount") >= 0),
    Rule("R-currency-known", Severity.ROW, "currency must be known", nw.col("currency").is_in(["EUR", "JPY"])),
    Rule("R-median", Severity.WARN, "only reported", nw.col("amount") < 0),
)
SCHEMA = {"id": pl.String, "epoch": pl.Int32, "version": pl.Int32, "amount": pl.Int64, "currency": pl.String}
Row = tuple[str, int, int, int | None, str | None]


def rows_of(part: nw.LazyFrame[pl.LazyFrame]) -> pl.DataFrame:
    return part.to_native().collect()


def split_rows(rows: list[Row], *, keeps_history: bool = False) -> Split:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").lazy()
    return split(nw.from_native(frame), RULES, key=["id"], keeps_history=keeps_history)


def is_good(row: Row) -> bool:
    return (row[3] is None or row[3] >= 0) and row[4] in {None, "EUR", "JPY"}


versions = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(1, 2),
        st.integers(1, 2**31 - 1) | st.integers(1, 3),
        st.none() | st.integers(-2, 2),
        st.sampled_from(["EUR", "ZZZ", None]),
    ),
    unique_by=lambda row: row[:3],
    max_size=12,
)


@pytest.mark.row("B2", "B3")
@settings(max_examples=60)
@given(rows=versions, keeps_history=st.booleans())
def test_every_version_is_clean_quarantined_or_superseded(rows: list[Row], keeps_history: bool) -> None:
    """Lost rows here are lost money in every table downstream."""
    parts = split_rows(rows, keeps_history=keeps_history)
    clean, bad, older = rows_of(parts.clean), rows_of(parts.quarantined), rows_of(parts.superseded)
    found = Counter(clean.rows()) + Counter(bad.drop("reasons").rows()) + Counter(older.rows())
    assert found == Counter(rows)
    good = [row for row in rows if is_good(row)]
    highest = {row[0]: max(other[1:3] for other in good if other[0] == row[0]) for row in good}
    expected = good if keeps_history else [row for row in good if row[1:3] == highest[row[0]]]
    assert Counter(clean.rows()) == Counter(expected)
    assert rows_of(parts.counts)["superseded"].item() == older.height


@pytest.mark.row("B3")
def test_a_bad_row_lists_every_rule_it_broke_in_rule_order() -> None:
    parts = split_rows([("a", 1, 1, -1, "ZZZ"), ("b", 1, 1, -1, "EUR"), ("c", 1, 1, None, None)])
    assert rows_of(parts.quarantined).sort("id")["reasons"].to_list() == [
        "R-amount-sign,R-currency-known",
        "R-amount-sign",
    ]
    assert rows_of(parts.counts).to_dicts() == [
        {"superseded": 0, "rule:R-amount-sign": 2, "rule:R-currency-known": 1, "rule:R-median": 0}
    ]


@pytest.mark.row("B2")
def test_a_bad_last_version_leaves_the_good_one_before_clean() -> None:
    parts = split_rows([("a", 1, 1, 5, "EUR"), ("a", 1, 2, -5, "EUR")])
    assert rows_of(parts.clean)["amount"].to_list() == [5]


def test_a_rule_on_a_column_that_is_not_there_is_an_error_and_not_a_pass() -> None:
    frame = pl.LazyFrame(schema={"id": pl.String, "epoch": pl.Int32, "version": pl.Int32})
    with pytest.raises(UnknownColumn, match="R-amount-sign"):
        split(nw.from_native(frame), RULES, key=["id"])


@pytest.mark.parametrize("name", [name for name in catalogue.DATASETS if name.startswith("clean/")])
def test_samples_of_every_contract_are_clean(name: str) -> None:
    clean = catalogue.dataset(name)
    raw = sample(catalogue.dataset(name.replace("clean/", "raw/")), 4)
    parts = split_day(raw.lazy(), clean)
    assert rows_of(parts.quarantined)["reasons"].to_list() == []
    assert rows_of(parts.clean).schema == clean.schema
    assert rows_of(parts.quarantined).schema == catalogue.dataset(name.replace("clean/", "quarantine/")).schema
    assert rows_of(parts.clean).height == raw.height


@pytest.mark.row("B3", "Y4")
@pytest.mark.parametrize(
    "rule, broken",
    [
        ("R-amount-sign", {"amount_minor": -1, "amount": None}),
        ("R-amount-present", {"amount_minor": None}),
        ("R-amount-decimals", {"amount": Decimal("12.5001")}),
        ("R-amount-decimals", {"amount": Decimal("9999999999999999.9999")}),
        ("R-amount-decimals", {"amount_minor": 2**63 - 1}),
        ("R-currency-present", {"currency": None}),
        ("R-currency-known", {"currency": "XAU"}),
        ("R-country-known", {"country_code": "XX"}),
        ("R-status-present", {"status": None}),
        ("R-status-known", {"status": "paid"}),
        ("R-status-transition", {"previous_status": "failed"}),
        ("R-captured-within-amount", {"captured_minor": 1251}),
        ("R-refund-within-captured", {"refunded_minor": 1251}),
        ("R-time-order", {"created_at": datetime(2025, 1, 2, tzinfo=UTC)}),
        ("R-reference-present", {"merchant_id": None}),
        ("R-op-known", {"op": "t"}),
    ],
)
def test_each_defect_is_quarantined_under_its_rule(rule: str, broken: dict[str, object]) -> None:
    raw = sample(RAW_TRANSACTIONS, 1).with_columns(
        pl.lit(value, dtype=RAW_TRANSACTIONS.schema[name]).alias(name) for name, value in broken.items()
    )
    reasons = rows_of(split_day(raw.lazy(), CLEAN_TRANSACTIONS).quarantined)["reasons"].to_list()
    assert len(reasons) == 1
    assert rule in reasons[0].split(",")


def test_two_good_versions_of_one_position_fail_the_day_by_its_key() -> None:
    raw = pl.concat([sample(RAW_TRANSACTIONS, 1)] * 2)
    clean = rows_of(split_day(raw.lazy(), CLEAN_TRANSACTIONS).clean)
    assert [found.count for found in duplicate_keys(CLEAN_TRANSACTIONS, clean.lazy())] == [1]
    assert duplicate_keys(RAW_TRANSACTIONS, sample(RAW_TRANSACTIONS, 4).lazy()) == []


@pytest.mark.row("B3")
def test_a_day_with_too_many_bad_rows_or_a_lost_one_fails_as_a_whole() -> None:
    lake, day = Lake(MemoryStorage()), date(2025, 1, 1)
    outputs = {
        CLEAN_TRANSACTIONS: sample(CLEAN_TRANSACTIONS, 3),
        QUARANTINE_TRANSACTIONS: sample(QUARANTINE_TRANSACTIONS, 1),
    }
    now = datetime(2025, 1, 2, tzinfo=UTC)
    manifest = lake.write(day, outputs, counts={"superseded": 2}, code_version="1", now=now)
    strict = replace(CLEAN_TRANSACTIONS, tolerated_bad_rows=0)
    assert [found.rule for found in day_problems(manifest, strict, 6)] == ["P-bad-ratio"]
    assert day_problems(manifest, replace(strict, max_bad_ratio=0.2), 6) == []
    assert day_problems(manifest, CLEAN_TRANSACTIONS, 6) == []
    lost = day_problems(manifest, replace(CLEAN_TRANSACTIONS, max_bad_ratio=1), 7)
    assert [found.rule for found in lost] == ["P-rows-conserved"]


@pytest.mark.row("B3", "B5")
def test_a_reference_that_the_source_did_not_know_is_counted_and_the_row_stays() -> None:
    """The marts give it an inferred member; quarantined, its money would be missing from every sum."""
    raw = sample(RAW_TRANSACTIONS, 4).with_columns(
        is_customer_known=pl.Series([True, False, None, False]), is_device_known=pl.Series([None, False, True, True])
    )
    parts = split_day(raw.lazy(), CLEAN_TRANSACTIONS)
    assert rows_of(parts.clean).height == 4
    counts = rows_of(parts.counts).row(0, named=True)
    assert {rule.id: counts[f"rule:{rule.id}"] for rule in CLEAN_TRANSACTIONS.warn_rules} == {
        "R-customer-reference": 2,
        "R-merchant-reference": 0,
        "R-payment-method-reference": 0,
        "R-device-reference": 1,
    }
