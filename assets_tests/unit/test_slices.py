"""Slices of a day: whole keys, no row lost, and the same day in the lake however it was sliced."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from payments_platform.batch.slices import sliced
from payments_platform.batch.validate import split_day
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, QUARANTINE_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.lake.writing import Slices

DAY = date(2026, 1, 1)


def day_of_versions() -> pl.DataFrame:
    """Sixty payments of three versions each; every seventh has a last version that breaks a rule."""
    one = sample(RAW_TRANSACTIONS)
    version = pl.Series("version", [1, 2, 3] * 60, dtype=pl.Int32)
    ids = pl.Series("transaction_id", [f"txn_{number // 3}" for number in range(180)])
    amounts = [-1 if number % 21 == 20 else 1250 for number in range(180)]
    return pl.concat([one.head(1)] * 180).with_columns(ids, version, pl.Series("amount_minor", amounts))


def written(folder: Path, versions: pl.DataFrame, slice_rows: int) -> Manifest:
    splits = [split_day(part, CLEAN_TRANSACTIONS) for part in sliced(versions.lazy(), "transaction_id", slice_rows)]
    return Lake(LocalStorage(folder)).write(
        DAY,
        {
            CLEAN_TRANSACTIONS: Slices(split.clean.to_native() for split in splits),
            QUARANTINE_TRANSACTIONS: Slices(split.quarantined.to_native() for split in splits),
        },
        counts=Slices(split.counts.to_native() for split in splits),
        code_version="test",
        now=datetime(2026, 1, 2, tzinfo=UTC),
    )


@pytest.mark.row("B2", "B3")
def test_a_day_in_slices_holds_what_the_day_in_one_piece_holds(tmp_path: Path) -> None:
    """A version judged apart from its newer one would be paid out twice downstream."""
    versions = day_of_versions()
    whole = written(tmp_path / "whole", versions, 10_000)
    parts = written(tmp_path / "parts", versions, 25)
    assert len(parts.main.files) > 3
    assert parts.counts == whole.counts
    assert parts.counts["rule:R-amount-sign"] == 8
    assert {name: output.digest for name, output in parts.outputs.items()} == {
        name: output.digest for name, output in whole.outputs.items()
    }


@pytest.mark.row("B2")
@pytest.mark.parametrize("slice_rows", [1, 7, 1_000])
def test_slices_keep_keys_together_and_lose_no_row(slice_rows: int) -> None:
    rows = pl.DataFrame({"id": [None, "a", "b", "a", None, "c", "d", "a"], "n": range(8)})
    parts = [part.collect() for part in sliced(rows.lazy(), "id", slice_rows)]
    assert pl.concat(parts).sort("n").equals(rows)
    keys = [set(part["id"].to_list()) for part in parts if part.height]
    assert sum(map(len, keys)) == len(set(rows["id"].to_list()))
