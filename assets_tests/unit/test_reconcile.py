"""Source and lake agree to the row and the cent, and yesterday's extraction still holds."""

from dataclasses import replace
from datetime import UTC, date, datetime

import polars as pl
import pytest

from assets_tests.fakes.storage import MemoryStorage
from payments_platform.batch.errors import SourceChanged
from payments_platform.batch.extract import Totals, in_memory_extraction
from payments_platform.batch.reconcile import differences, digests_checked_against, unreconciled
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.reference import RAW_EXCHANGE_RATES
from payments_platform.contracts.sample import sample
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Lake

DAY, NOW = date(2025, 1, 1), datetime(2025, 1, 2, 2, tzinfo=UTC)
ROWS = sample(RAW_TRANSACTIONS, 4).with_columns(load_id=pl.Series([None, None, "load-1", "load-1"]))


def extract(lake: Lake, rows: pl.DataFrame, *, epoch: int = 1) -> Manifest:
    extraction = replace(in_memory_extraction(RAW_TRANSACTIONS, rows, DAY), epoch=epoch)
    return lake.write(
        DAY,
        {RAW_TRANSACTIONS: extraction.frames},
        counts=extraction.counts,
        source_digests=digests_checked_against(lake.manifest(RAW_TRANSACTIONS, DAY), extraction),
        code_version="1",
        now=NOW,
    )


@pytest.fixture
def lake() -> Lake:
    return Lake(MemoryStorage(NOW))


@pytest.mark.row("B3", "O9")
def test_a_lost_row_and_a_lost_cent_are_named(lake: Lake) -> None:
    manifest = extract(lake, ROWS)
    assert unreconciled(manifest) == []
    found = differences(Totals(5, {"EUR": 5001, "JPY": 7}), manifest.main)
    assert [str(difference) for difference in found] == [
        "P-source-rows: rows: source 5, lake 4, difference -1",
        "P-source-sums: sum:EUR: source 5001, lake 5000, difference -1",
        "P-source-sums: sum:JPY: source 7, lake 0, difference -7",
    ]


def test_a_manifest_without_the_sources_totals_is_not_reconciled(lake: Lake) -> None:
    manifest = replace(extract(lake, ROWS), counts={})
    assert [difference.figure for difference in unreconciled(manifest)] == ["rows"]


@pytest.mark.row("B1")
def test_a_later_extraction_may_add_the_rows_of_new_loads_only(lake: Lake) -> None:
    first = extract(lake, ROWS)
    assert extract(lake, ROWS.reverse()).source_digests == first.source_digests
    added = sample(RAW_TRANSACTIONS, 1).with_columns(transaction_id=pl.lit("txn_new"), load_id=pl.lit("load-2"))
    assert extract(lake, pl.concat([ROWS, added])).rows == 5


@pytest.mark.parametrize(
    "rows, named",
    [
        (ROWS[1:], "the application"),
        (ROWS[:3], "'load-1'"),
        (ROWS[:2], "'load-1'"),
        (ROWS.with_columns(status=pl.lit("failed")), "the application, 'load-1'"),
        (ROWS.with_columns(load_id=pl.lit("load-1")), "the application, 'load-1'"),
    ],
)
def test_rows_that_changed_or_vanished_stop_the_commit(lake: Lake, rows: pl.DataFrame, named: str) -> None:
    before = extract(lake, ROWS)
    with pytest.raises(SourceChanged, match=named):
        extract(lake, rows)
    assert lake.manifest(RAW_TRANSACTIONS, DAY) == before
    lake.verify(RAW_TRANSACTIONS, DAY)


def test_another_life_of_the_source_is_not_compared(lake: Lake) -> None:
    extract(lake, ROWS)
    assert extract(lake, ROWS[1:].with_columns(epoch=pl.lit(2, dtype=pl.Int32)), epoch=2).rows == 3


def test_another_contract_is_not_compared(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column more changes every digest: the day must not be taken for one that somebody rewrote."""
    with monkeypatch.context() as earlier:
        earlier.setattr("payments_platform.lake.frames.columns_mark", lambda _: "earlier")
        extract(lake, ROWS)
    extract(lake, ROWS.with_columns(amount_minor=pl.lit(1, dtype=pl.Int64)))


def test_a_dated_series_may_grow() -> None:
    extraction = in_memory_extraction(RAW_EXCHANGE_RATES, sample(RAW_EXCHANGE_RATES))
    assert sum(frame.height for frame in extraction.frames) == extraction.totals.rows
    assert extraction.source_digests() == {}


def test_a_masked_card_number_does_not_look_like_a_changed_source() -> None:
    extraction = in_memory_extraction(RAW_TRANSACTIONS, ROWS.with_columns(description=pl.lit("card 4111111111111111")))
    assert [frame["description"][0] for frame in extraction.frames] == ["card [PAN]"]
    assert extraction.counts()["masked_values"] == 4
