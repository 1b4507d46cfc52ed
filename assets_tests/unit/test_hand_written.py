"""The rules against rows written by hand: every bad one under its rule, no good one kept back.

Belongs here: the comparison, and that no rule goes without. Does not: the rows (fakes/hand_written.py).
"""

from collections import Counter

import polars as pl
import pytest

from assets_tests.fakes.hand_written import BAD, GOOD, PLAIN, WARNED, Cells
from payments_platform.batch.validate import Split, split_day
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.pandera_schema import validate

TABLES = sorted(clean.table for clean in of_zone("clean"))
every_table = pytest.mark.parametrize("table", TABLES)


def split(table: str, cells: list[Cells]) -> tuple[Split, list[str]]:
    """The rows judged as one day, each under a key of its own; and the keys in order."""
    raw = dataset(f"raw/{table}")
    key = "load_id" if table == "exchange_rates" else raw.primary_key[0]
    rows = [PLAIN[table] | row for row in cells]
    keys = [f"{row[key]}#{number}" for number, row in enumerate(rows)]
    named = [row | {key: name} for row, name in zip(rows, keys, strict=True)]
    return split_day(pl.DataFrame(named, schema=raw.schema).lazy(), dataset(f"clean/{table}")), keys


def collected(part: object) -> pl.DataFrame:
    frame: pl.DataFrame = part.to_native().collect()  # type: ignore[attr-defined]
    return frame


@pytest.mark.row("B3")
@every_table
def test_every_bad_row_is_quarantined_under_its_rule_and_no_good_one_is(table: str) -> None:
    bad, good = BAD[table], [*GOOD[table], *(cells for _, cells in WARNED.get(table, []))]
    parts, keys = split(table, [*(cells for _, cells in bad), *good])
    key = "load_id" if table == "exchange_rates" else dataset(f"raw/{table}").primary_key[0]
    quarantined = dict(collected(parts.quarantined).select(key, "reasons").iter_rows())
    assert quarantined == {name: rule for name, (rule, _) in zip(keys, bad, strict=False)}
    clean = collected(parts.clean)
    assert sorted(clean[key]) == sorted(keys[len(bad) :])
    assert validate(dataset(f"clean/{table}"), clean) == []


@pytest.mark.row("B3")
@every_table
def test_a_warning_counts_its_rows(table: str) -> None:
    parts, _ = split(table, [cells for _, cells in WARNED.get(table, [])] or [{}])
    counts = collected(parts.counts).row(0, named=True)
    expected = Counter(rule for rule, _ in WARNED.get(table, []))
    assert {rule.id: counts[f"rule:{rule.id}"] for rule in dataset(f"clean/{table}").warn_rules} == expected


@pytest.mark.row("B3")
@every_table
def test_every_rule_has_two_bad_rows_written_by_hand(table: str) -> None:
    """A rule that nobody broke on purpose may be one that cannot be broken."""
    counts = Counter(rule for rule, _ in [*BAD[table], *WARNED.get(table, [])])
    clean = dataset(f"clean/{table}")
    assert {rule.id for rule in (*clean.row_rules, *clean.warn_rules)} == set(counts)
    assert min(counts.values()) >= 2


@pytest.mark.row("B3")
def test_two_hundred_tricky_rows_are_good() -> None:
    assert sum(len(rows) for rows in GOOD.values()) >= 200


@pytest.mark.row("B3")
@pytest.mark.parametrize("column", ["amount_minor", "captured_minor", "refunded_minor"])
@pytest.mark.parametrize("amount", [10**15 + 1, -(10**15) - 1])
def test_an_amount_beyond_what_can_be_summed_breaks_a_rule_that_nobody_can_waive(column: str, amount: int) -> None:
    """Let in by a decision, one such row would fail the sums of its whole day."""
    parts, _ = split("transactions", [{column: amount}])
    broken = collected(parts.quarantined)["reasons"].item().split(",")
    firm = {rule.id for rule in dataset("clean/transactions").row_rules if not rule.is_releasable}
    assert "R-amount-limit" in firm.intersection(broken)
