"""A source with a small company's history: each day its own payments, each merchant and customer a new version.

Belongs here: days made from contract samples, and days on which things go wrong. Does not: real profiles of payments
(oltp/simulator).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl

from assets_tests.fakes.source import FakeSource
from payments_platform.batch.extract import Extraction, in_memory_extraction
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.sample import sample

PAYMENTS_A_DAY = 30


@dataclass(frozen=True)
class Company(FakeSource):
    """Serves ``PAYMENTS_A_DAY`` payments a day. ``bad`` days hold negative amounts only, ``empty`` days no payment."""

    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    bad: frozenset[date] = frozenset()
    empty: frozenset[date] = frozenset()

    def extract(self, dataset: Dataset, days: Sequence[date]) -> Iterator[tuple[date, Extraction]]:
        for day in days:
            yield day, in_memory_extraction(dataset, self.rows(dataset, day))

    def rows(self, dataset: Dataset, day: date) -> pl.DataFrame:
        """The day's history of one table."""
        age = day - SAMPLE_DAY
        if dataset.table == "exchange_rates":
            return sample(dataset)
        if dataset.table != "transactions":
            version = pl.lit(age.days + 1, dtype=pl.Int32)
            return sample(dataset).with_columns(pl.col("updated_at") + age, version=version)
        rows = sample(dataset, 0 if day in self.empty else PAYMENTS_A_DAY).with_columns(
            pl.col("created_at", "updated_at") + age,
            transaction_id=pl.col("transaction_id") + f"_{day:%Y%m%d}",
        )
        return rows.with_columns(amount_minor=pl.lit(-5, dtype=pl.Int64)) if day in self.bad else rows


def days_from(first: date, count: int) -> list[date]:
    """``count`` days in a row."""
    return [first + timedelta(days=n) for n in range(count)]
