"""A bad row that is deleted, from the source to the star schema."""

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl
import pytest

from assets_tests.assets.conftest import Platform, failures_of
from assets_tests.fakes.company import Company, days_from
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.sample import sample


@dataclass(frozen=True)
class Deleting(Company):
    """One payment, a step a day: created well, then broken, then deleted, with its last values."""

    def rows(self, dataset: Dataset, day: date) -> pl.DataFrame:
        if dataset.table != "transactions":
            return super().rows(dataset, day)
        number = (day - SAMPLE_DAY).days
        row = sample(dataset, 1).with_columns(
            pl.col("updated_at") + timedelta(days=number),
            version=pl.lit(number + 1, dtype=pl.Int32),
            op=pl.lit("cud"[number]),
        )
        return row.with_columns(country_code=pl.lit("QQ"), captured_minor=pl.lit(-5, pl.Int64)) if number else row


@pytest.mark.slow
@pytest.mark.row("B3", "B5", "Y4")
def test_a_payment_that_was_deleted_in_a_bad_state_is_deleted_in_the_star(platform: Platform) -> None:
    """Held back with its values, the delete would leave the payment in every report for ever."""
    for day in days_from(SAMPLE_DAY, 3):
        assert failures_of(platform.run([day], Deleting())) == []
    facts = platform.box.warehouse.query(
        "select version, is_deleted, country_code, captured_minor from marts.fact_transaction"
    )
    assert facts.rows() == [(3, True, "FR", 1250)]
    counted = platform.box.warehouse.query("select transaction_count, deleted_count from aggregates.merchant_daily")
    assert counted.rows() == [(0, 1)]
