"""What the comparison of a store with the source must see, whatever else is wrong beside it."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_platform.streaming.comparison import KIND, KINDS, WHAT, Kind, counts, differences

TRUTH = pl.DataFrame(
    {
        "transaction_id": ["txn_1", "txn_1", "txn_2"],
        "version": [1, 2, 1],
        "amount_minor": [100, 100, None],
        "status": ["pending", "succeeded", "failed"],
    }
)
KEY = ("transaction_id", "version")


def spoiled(rows: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """The rows with one fault of a kind, in the row of txn_2."""
    theirs = pl.col("transaction_id") == "txn_2"
    match kind:
        case "missing":
            return rows.filter(~theirs)
        case "changed":
            return rows.with_columns(pl.when(theirs).then(0).otherwise("amount_minor").alias("amount_minor"))
        case "duplicate":
            return pl.concat([rows, rows.filter(theirs)])
        case "phantom":
            return pl.concat([rows, rows.filter(theirs).with_columns(transaction_id=pl.lit("txn_never"))])


@pytest.mark.row("O9", "X2")
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_planted_fault_is_reported_and_nothing_else(kind: Kind) -> None:
    found = differences(TRUTH, spoiled(TRUTH, kind), KEY)
    assert counts(found) == {**dict.fromkeys(KINDS, 0), kind: 1}
    row = found.to_dicts()[0]
    assert row[KIND] == kind
    assert row["transaction_id"] == ("txn_never" if kind == "phantom" else "txn_2")
    assert row[WHAT] == ("amount_minor" if kind == "changed" else "")


@pytest.mark.row("O9", "X2")
@given(st.permutations(range(3)))
def test_the_same_rows_in_any_order_differ_in_nothing(order: list[int]) -> None:
    """Also with a column more, and narrower types, which a store may have."""
    found = TRUTH[order].with_columns(pl.col("version").cast(pl.Int8), extra=1)
    assert differences(TRUTH, found, KEY).is_empty()


@pytest.mark.row("O9", "X2")
def test_faults_beside_each_other_are_all_reported() -> None:
    """A duplicate of which one copy differs is both; nothing hides anything."""
    found = pl.concat([TRUTH.filter(pl.col("version") == 1), spoiled(TRUTH, "changed").tail(1)])
    found = pl.concat([found, TRUTH.head(1).with_columns(version=pl.lit(9, dtype=pl.Int64))])
    assert counts(differences(TRUTH, found, KEY)) == {"missing": 1, "changed": 1, "duplicate": 1, "phantom": 1}


def test_nothing_found_means_all_is_missing_and_an_empty_source_that_all_is_invented() -> None:
    assert counts(differences(TRUTH, TRUTH.clear(), KEY))["missing"] == TRUTH.height
    assert counts(differences(TRUTH.clear(), TRUTH, KEY))["phantom"] == TRUTH.height
