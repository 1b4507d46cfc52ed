"""Every contract as Pandera sees it: good samples pass, each kind of damage is named, no value leaks."""

from typing import cast

import polars as pl
import pytest

from payments_platform.contracts import catalogue
from payments_platform.contracts.customers import CLEAN_CUSTOMERS
from payments_platform.contracts.pandera_schema import Violation, duplicate_keys, pandera_schema, validate
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.vocabulary import LAKE_ZONES

ROWS = sample(CLEAN_TRANSACTIONS, 8)


@pytest.mark.row("C5", "B3")
@pytest.mark.parametrize("name", sorted(catalogue.DATASETS))
def test_the_sample_of_every_contract_passes_and_damage_does_not(name: str) -> None:
    dataset = catalogue.dataset(name)
    good = sample(dataset)
    assert validate(dataset, good) == []
    first = dataset.columns[0]
    assert [str(found) for found in validate(dataset, good.drop(first.name))] == [
        f"C-column-present:{first.name}: {good.height}"
    ]
    assert validate(dataset, good.with_columns(surprise=1)) == [Violation("C-column-known:surprise", good.height)]
    wrong = good.with_columns(pl.lit(b"x").alias(first.name))
    assert validate(dataset, wrong) == [Violation(f"C-type:{first.name}", good.height)]
    if len(dataset.columns) > 1:
        assert validate(dataset, good.select(reversed(good.columns))) == [Violation("C-column-order", good.height)]
    for column in dataset.columns:
        if not column.nullable:
            nulled = good.with_columns(pl.lit(None, dtype=column.dtype).alias(column.name))
            found = [violation.rule for violation in validate(dataset, nulled)]
            assert f"C-not-null:{column.name}" in found


@pytest.mark.parametrize("name", sorted(name for name in catalogue.DATASETS if name.split("/")[0] in LAKE_ZONES))
def test_a_repeated_key_is_counted_over_the_whole_day(name: str) -> None:
    dataset = catalogue.dataset(name)
    good = sample(dataset)
    assert duplicate_keys(dataset, good.lazy()) == []
    assert [found.count for found in duplicate_keys(dataset, pl.concat([good, good[:1]]).lazy())] == [1]


@pytest.mark.row("C5", "B3")
def test_a_broken_rule_is_named_with_its_count_and_a_few_row_ids() -> None:
    bad = ROWS.with_columns(currency=pl.when(pl.int_range(pl.len()) < 7).then(pl.lit("ZZZ")).otherwise("currency"))
    assert validate(CLEAN_TRANSACTIONS, bad) == [
        Violation("R-currency-known", 7, tuple(f"txn_sample_{row}" for row in range(5)))
    ]


def test_a_null_is_no_broken_rule() -> None:
    assert validate(CLEAN_TRANSACTIONS, ROWS.with_columns(country_code=pl.lit(None, dtype=pl.String))) == []


def test_people_do_not_appear_in_a_verdict() -> None:
    rows = sample(CLEAN_CUSTOMERS, 2).with_columns(customer_token=pl.lit("tok_secret"))
    text = " ".join(str(found) for found in validate(CLEAN_CUSTOMERS, rows))
    assert "R-token-format" in text
    assert "secret" not in text
    assert "cus_sample" not in text


@pytest.mark.row("C5")
def test_a_lazy_frame_is_refused_because_its_values_would_not_be_looked_at() -> None:
    with pytest.raises(TypeError, match="collected"):
        validate(CLEAN_TRANSACTIONS, cast("pl.DataFrame", ROWS.lazy()))


def test_the_schema_names_every_rule_that_refuses_a_row() -> None:
    schema = pandera_schema(CLEAN_TRANSACTIONS)
    assert [check.name for check in schema.checks] == [rule.id for rule in CLEAN_TRANSACTIONS.row_rules]
