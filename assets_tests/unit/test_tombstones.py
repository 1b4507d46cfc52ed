"""A delete passes the rules about values: its entity must not live on for a value that was wrong at the end.

Belongs here: deletes in the split and in the models. Does not: other versions (test_validate), the whole way of one
(assets/test_deletes).
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_tests.fakes.warehouse import WarehouseBox
from payments_platform.batch.validate import Split, split, split_day
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.customers import CLEAN_CUSTOMERS, RAW_CUSTOMERS
from payments_platform.contracts.dataset import Rule, Severity
from payments_platform.contracts.pandera_schema import validate
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample

RULES = (
    Rule("R-owner-known", Severity.ROW, "an owner", nw.col("owner").is_in(["o"]), judges_deletes=True),
    Rule("R-amount-sign", Severity.ROW, "no negative amount", nw.col("amount") >= 0),
)
SCHEMA = {"id": pl.String, "epoch": pl.Int32, "version": pl.Int32, "op": pl.String, "owner": pl.String} | {
    "amount": pl.Int64
}
IDENTITY = ("id", "epoch", "version", "op", "owner")
FIRST, SECOND, THIRD = (date(2025, 1, day) for day in (1, 2, 3))
Row = tuple[str, int, int, str, str | None, int | None]


def collected(part: nw.LazyFrame[pl.LazyFrame]) -> pl.DataFrame:
    return part.to_native().collect()


def split_rows(rows: list[Row], *, keeps_history: bool = False) -> Split:
    frame = nw.from_native(pl.DataFrame(rows, schema=SCHEMA, orient="row").lazy())
    return split(frame, RULES, key=["id"], identity=IDENTITY, keeps_history=keeps_history)


versions = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.just(1),
        st.integers(1, 4),
        st.sampled_from("ud"),
        st.sampled_from(["o", "x", None]),
        st.none() | st.integers(-2, 2),
    ),
    unique_by=lambda row: row[:3],
    max_size=8,
)


@pytest.mark.row("B2", "B3", "Y4")
@settings(max_examples=60)
@given(rows=versions, keeps_history=st.booleans())
def test_a_delete_is_held_back_only_for_who_it_deletes(rows: list[Row], keeps_history: bool) -> None:
    """And no row is lost or made on the way, whatever becomes of its values."""
    parts = split_rows(rows, keeps_history=keeps_history)
    found = [collected(part).select("id", "epoch", "version") for part in (parts.clean, parts.quarantined)]
    older = collected(parts.superseded).select("id", "epoch", "version")
    assert Counter(pl.concat([*found, older]).rows()) == Counter(row[:3] for row in rows)
    for _, _, _, op, owner, _, reasons in collected(parts.quarantined).rows():
        if op == "d" and owner is not None:
            assert (owner, reasons) == ("x", "R-owner-known")


def test_a_delete_takes_the_values_of_the_last_good_version_of_its_day() -> None:
    parts = split_rows(
        [("a", 1, 1, "c", "o", 5), ("a", 1, 2, "u", "o", 7), ("a", 1, 3, "u", "o", -7), ("a", 1, 4, "d", "o", -7)]
    )
    assert collected(parts.clean).rows() == [("a", 1, 4, "d", "o", 7)]
    assert collected(parts.quarantined)["version"].to_list() == [3]
    assert collected(parts.superseded)["version"].sort().to_list() == [1, 2]


def test_a_delete_without_a_good_version_before_it_has_its_identity_alone() -> None:
    parts = split_rows([("a", 1, 1, "c", "o", -7), ("a", 1, 2, "d", "o", -7)])
    assert collected(parts.clean).rows() == [("a", 1, 2, "d", "o", None)]


def test_a_delete_that_does_not_say_who_is_judged_like_any_version() -> None:
    parts = split_rows([("a", 1, 2, "d", None, -7)])
    assert collected(parts.quarantined)["reasons"].to_list() == ["R-amount-sign"]


def test_a_version_that_is_no_delete_needs_its_values() -> None:
    """What a delete may lack is nullable in the contract, and the rules alone hold the rest to it."""
    for clean in of_zone("clean"):
        raw = sample(dataset(f"raw/{clean.table}"), 1)
        strict = [column for column in dataset(f"raw/{clean.table}").columns if column.example is not None]
        for column in strict:
            if clean.column(column.name).nullable or column.name in raw.columns[:4]:
                continue
            nulled = raw.with_columns(pl.lit(None, dtype=column.dtype).alias(column.name))
            bad = collected(split_day(nulled.lazy(), clean).quarantined)
            row = nulled.with_columns(is_released=pl.lit(value=False)).select(clean.names)
            assert bad.height == 1 or validate(clean, row), f"{clean.name}.{column.name}"


@pytest.mark.parametrize("clean", [clean for clean in of_zone("clean") if clean.identity], ids=lambda it: it.table)
def test_what_a_delete_lacks_follows_the_contract_of_clean(clean: "object") -> None:
    made = dataset(f"clean/{clean.table}")  # type: ignore[attr-defined]
    raw = sample(dataset(f"raw/{made.table}"), 1)
    values = [name for name in raw.columns if name not in made.identity]
    broken = raw.with_columns(op=pl.lit("d"), load_id=pl.lit("load"))
    broken = broken.with_columns(pl.lit(None, dtype=raw.schema[name]).alias(name) for name in values)
    parts = split_day(broken.lazy(), made)
    rows = collected(parts.clean)
    assert rows.height == 1
    assert validate(made, rows) == []
    assert validate(made, rows.with_columns(op=pl.lit("u"))) != []


def landed(table: str, number: int, **cells: object) -> pl.DataFrame:
    landing = dataset(f"landing/{table}")
    at = datetime(2025, 1, number, 13, tzinfo=UTC)
    row = sample(landing, 1).with_columns(version=pl.lit(number, pl.Int32), updated_at=pl.lit(at))
    return row.with_columns(pl.lit(value, dtype=row.schema[name]).alias(name) for name, value in cells.items())


def tombstone(table: str, number: int) -> pl.DataFrame:
    """A delete as curated gives it when its last values broke a rule."""
    curated, kept = dataset(f"curated/{table}"), {"is_deleted", "created_date", "is_device_present"}
    identity = {*dataset(f"clean/{table}").identity, *kept}
    bare = {name: None for name in curated.names if name not in identity}
    return landed(table, number, **bare).with_columns(is_deleted=pl.lit(value=True))


@pytest.mark.row("B5", "Y4")
@pytest.mark.parametrize("order", [(1, 3), (3, 1)], ids=["in order", "delete first"])
def test_a_deleted_payment_keeps_its_last_good_values_and_is_deleted(order: tuple[int, int], tmp_path: Path) -> None:
    """Were the delete held back, the payment would be counted for ever; were it empty, its money would vanish."""
    box, table = WarehouseBox(tmp_path), dataset("landing/transactions")
    rows = {1: landed("transactions", 1, amount_minor=700), 3: tombstone("transactions", 3)}
    for number in order:
        box.land(table, FIRST + timedelta(days=number), rows[number])
        box.dbt("run", "--select", "+fact_transaction")
    query = "select version, is_deleted, status, amount_minor, updated_at from marts.fact_transaction"
    at = datetime(2025, 1, 3, 13, tzinfo=UTC)
    assert box.warehouse.query(query).rows() == [(3, True, "succeeded", 700, at)]
    # The version with the values leaves its day: nothing is known of the payment any more.
    box.land(table, FIRST + timedelta(days=1), rows[1].clear())
    box.dbt("run", "--select", "+fact_transaction")
    assert box.warehouse.query(query).rows() == []


@pytest.mark.row("B5", "Y4")
@pytest.mark.parametrize("table", ["refunds", "disputes", "subscriptions"])
def test_what_follows_a_payment_keeps_its_last_good_values_in_its_delete(table: str, tmp_path: Path) -> None:
    """As a payment does: a refund that lost its amount with its life would change the sums of its month."""
    box, landing, fact = WarehouseBox(tmp_path), dataset(f"landing/{table}"), f"fact_{table.removesuffix('s')}"
    rows = {1: landed(table, 1, amount_minor=700), 3: tombstone(table, 3)}
    for number in (3, 1):
        box.land(landing, FIRST + timedelta(days=number), rows[number])
        box.dbt("run", "--select", f"+{fact}")
    query = f"select version, is_deleted, status, amount_minor from marts.{fact}"
    assert box.warehouse.query(query).rows() == [(3, True, rows[1]["status"].item(), 700)]
    box.land(landing, FIRST + timedelta(days=1), rows[1].clear())
    box.dbt("run", "--select", f"+{fact}")
    assert box.warehouse.query(query).rows() == []


@pytest.mark.row("B5", "Y4")
def test_a_deleted_dimension_member_keeps_its_last_good_values(tmp_path: Path) -> None:
    """Null is a value too: a country that was taken away does not come back with the delete."""
    box = WarehouseBox(tmp_path)
    box.land(dataset("landing/customers"), FIRST, landed("customers", 1, country_code="FR"))
    box.land(dataset("landing/customers"), SECOND, landed("customers", 2, country_code=None, segment="vip"))
    box.land(dataset("landing/customers"), THIRD, tombstone("customers", 3))
    box.land(dataset("landing/payment_methods"), FIRST, landed("payment_methods", 1, card_brand="jcb"))
    box.land(dataset("landing/payment_methods"), SECOND, tombstone("payment_methods", 2))
    box.dbt("run", "--select", "+dim_customer", "+dim_payment_method")
    people = "select version, country_code, segment, is_deleted, is_current from marts.dim_customer where version > 0"
    assert box.warehouse.query(f"{people} order by version").rows() == [
        (1, "FR", "consumer", False, False),
        (2, None, "vip", False, False),
        (3, None, "vip", True, True),
    ]
    methods = "select version, card_brand, is_deleted from marts.dim_payment_method where version > 0"
    assert box.warehouse.query(methods).rows() == [(2, "jcb", True)]


def test_the_dimension_key_of_a_customer_is_held_to_its_form_in_a_delete_too() -> None:
    """It is the key of every later zone: a delete under another key deletes nobody."""
    raw = sample(RAW_CUSTOMERS, 1).with_columns(
        op=pl.lit("d"), customer_token=pl.lit("someone"), segment=pl.lit("gold")
    )
    bad = collected(split_day(raw.lazy(), CLEAN_CUSTOMERS).quarantined)
    assert bad["reasons"].to_list() == ["R-token-format"]


def test_a_day_without_deletes_is_split_as_before() -> None:
    raw = sample(RAW_TRANSACTIONS, 3).with_columns(amount_minor=pl.lit(-1, dtype=pl.Int64), amount=None)
    raw = raw.with_columns(pl.col("amount").cast(RAW_TRANSACTIONS.schema["amount"]))
    assert collected(split_day(raw.lazy(), CLEAN_TRANSACTIONS).quarantined).height == 3
