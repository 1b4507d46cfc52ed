"""A bad row that is deleted, from the source to the star schema."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl
import pytest

from assets_tests.assets.conftest import Platform, failures_of
from assets_tests.fakes.source import FakeSource
from payments_platform.batch.extract import Extraction, in_memory_extraction
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.sample import sample

DAYS = [SAMPLE_DAY + timedelta(days=number) for number in range(3)]


@dataclass(frozen=True)
class Deleting(FakeSource):
    """One payment a day's step: created well, then broken, then deleted as the source deletes: with its last values."""

    frames: dict[str, pl.DataFrame] = field(default_factory=dict)

    def extract(self, dataset: Dataset, days: Sequence[date]) -> Iterator[tuple[date, Extraction]]:
        for day in days:
            rows = sample(dataset)
            if dataset.table == "transactions":
                rows = self.step(sample(dataset, 1), (day - SAMPLE_DAY).days)
            yield day, in_memory_extraction(dataset, rows)

    def step(self, row: pl.DataFrame, number: int) -> pl.DataFrame:
        row = row.with_columns(
            pl.col("updated_at") + timedelta(days=number),
            version=pl.lit(number + 1, dtype=pl.Int32),
            op=pl.lit("cud"[number]),
        )
        return row.with_columns(country_code=pl.lit("QQ"), captured_minor=pl.lit(-5, pl.Int64)) if number else row


@pytest.mark.row("B3", "B5", "Y4")
def test_a_payment_that_was_deleted_in_a_bad_state_is_deleted_in_the_star(platform: Platform) -> None:
    """Held back with its values, the delete would leave the payment in every report for ever."""
    for day in DAYS:
        assert failures_of(platform.run([day], Deleting({}))) == []
    facts = platform.box.warehouse.query(
        "select version, is_deleted, country_code, captured_minor from marts.fact_transaction"
    )
    assert facts.rows() == [(3, True, "FR", 1250)]
    counted = platform.box.warehouse.query("select transaction_count, deleted_count from aggregates.merchant_daily")
    assert counted.rows() == [(0, 1)]
