"""The record of landings that every warehouse keeps: what passed, what a model holds, and a copy that never waits."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from assets_tests.fakes.warehouse import NOW, WarehouseBox
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.operations import DATA_LOAD_TIMES
from payments_platform.contracts.sample import sample
from payments_platform.warehouse.load_times import SCHEMA, copy_path

TRANSACTIONS, REFUNDS = dataset("landing/transactions"), dataset("landing/refunds")
FACT, DIM = dataset("marts/fact_transaction"), dataset("marts/dim_merchant")
BOTH = {FACT.name: [TRANSACTIONS.name, REFUNDS.name]}
FIRST, SECOND = date(2025, 1, 1), date(2025, 1, 2)
HOLD = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(60)"


@pytest.fixture
def box(tmp_path: Path) -> WarehouseBox:
    return WarehouseBox(tmp_path)


def land(box: WarehouseBox, landing: object, day: date, rows: int = 3, *, passed: bool = True) -> int:
    """Land a day and let its check speak; return its load_sequence."""
    table = dataset(getattr(landing, "name", ""))
    result = box.land(table, day, sample(table, rows))
    box.warehouse.record_landing(table, [day], is_passed=passed, now=NOW)
    return result.load_sequence


def there(box: WarehouseBox, name: str) -> list[date]:
    """The days of a dataset that are there and passed."""
    found = box.warehouse.load_times().filter(pl.col("is_passed"), pl.col("dataset") == name)
    return sorted(found["partition_date"])


@pytest.mark.row("X4", "O8")
def test_a_landed_day_counts_once_its_check_passed(box: WarehouseBox) -> None:
    """Loading commits before the check looks: a day that failed it lies in the table and is not there."""
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3))
    assert there(box, TRANSACTIONS.name) == []
    box.warehouse.record_landing(TRANSACTIONS, [FIRST], is_passed=True, now=NOW)
    assert there(box, TRANSACTIONS.name) == [FIRST]
    box.warehouse.record_landing(TRANSACTIONS, [FIRST], is_passed=False, now=NOW)
    assert there(box, TRANSACTIONS.name) == []


@pytest.mark.row("X4")
def test_the_same_content_loaded_again_stays_there_and_other_content_is_judged_anew(box: WarehouseBox) -> None:
    """Building last month again must not make it late while it runs."""
    land(box, TRANSACTIONS, FIRST)
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3))
    assert there(box, TRANSACTIONS.name) == [FIRST]
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 2))
    assert there(box, TRANSACTIONS.name) == []


@pytest.mark.row("X4", "O8")
def test_a_model_holds_the_days_of_which_all_it_reads_had_landed_when_it_was_built(box: WarehouseBox) -> None:
    land(box, TRANSACTIONS, FIRST)
    land(box, REFUNDS, FIRST)
    land(box, TRANSACTIONS, SECOND)
    seen = box.warehouse.highest_load()
    land(box, REFUNDS, SECOND)
    box.warehouse.record_builds([FACT], seen, now=NOW)
    box.warehouse.record_model_days(BOTH, now=NOW)
    assert there(box, FACT.name) == [FIRST]
    box.warehouse.record_builds([FACT], box.warehouse.highest_load(), now=NOW)
    box.warehouse.record_model_days(BOTH, now=NOW)
    assert there(box, FACT.name) == [FIRST, SECOND]


@pytest.mark.row("X4")
def test_a_day_that_failed_its_check_is_in_no_model(box: WarehouseBox) -> None:
    """A model reads the whole landing table, whatever a check said of it: the day is held back until it is mended."""
    land(box, TRANSACTIONS, FIRST, passed=False)
    land(box, REFUNDS, FIRST)
    box.warehouse.record_builds([FACT], box.warehouse.highest_load(), now=NOW)
    box.warehouse.record_model_days(BOTH, now=NOW)
    assert there(box, FACT.name) == []


@pytest.mark.row("X4")
def test_a_model_that_was_never_built_holds_nothing(box: WarehouseBox) -> None:
    """Checks alone, started by hand, must not say of an older build that it holds today."""
    land(box, TRANSACTIONS, FIRST)
    land(box, REFUNDS, FIRST)
    box.warehouse.record_builds([DIM], box.warehouse.highest_load(), now=NOW)
    box.warehouse.record_model_days(BOTH, now=NOW)
    assert there(box, FACT.name) == []


@pytest.mark.row("X5")
def test_the_first_landing_of_a_day_is_kept_when_it_is_loaded_again(box: WarehouseBox) -> None:
    """Else a backfill of last year would make its days a year late."""
    land(box, TRANSACTIONS, FIRST)
    later = NOW + timedelta(days=300)
    with box.warehouse.connection() as connection:
        connection.execute(
            "insert into operations.data_load_times select * replace (? as landed_at) from operations.data_load_times",
            [later],
        )
    box.warehouse.ensure_schema()
    (row,) = box.warehouse.load_times().to_dicts()
    assert (row["first_landed_at"], row["landed_at"]) == (NOW, later)


@pytest.mark.row("X5")
def test_landings_of_the_lake_are_kept_once(box: WarehouseBox) -> None:
    at = datetime(2025, 1, 2, 3, tzinfo=UTC)
    days = pl.DataFrame(
        {
            "dataset": ["clean/transactions"],
            "partition_date": [FIRST],
            "row_count": [3],
            "digest": ["d"],
            "data_as_of": [at],
            "landed_at": [at],
        }
    )
    box.warehouse.record_lake_days(days)
    box.warehouse.record_lake_days(days)
    assert box.warehouse.query("select count(*) as n from operations.data_load_times")["n"].item() == 1
    assert there(box, "clean/transactions") == [FIRST]


@pytest.mark.row("X5")
def test_delays_are_kept_by_day_and_a_repeated_day_replaces_its_rows(box: WarehouseBox) -> None:
    row = dict.fromkeys(DATA_LOAD_TIMES.names) | {
        "partition_date": FIRST,
        "dataset_name": "clean/transactions",
        "due_at": NOW,
        "next_due_at": NOW + timedelta(days=1),
        "landed_count": 0,
    }
    late = pl.DataFrame([row], schema=DATA_LOAD_TIMES.schema)
    there_now = late.with_columns(delay_seconds=pl.lit(9_000, pl.Int64), next_due_at=pl.col("due_at"))
    other = late.with_columns(partition_date=pl.col("partition_date").dt.offset_by("1d"))
    box.warehouse.record_delays(pl.concat([late, other]))
    box.warehouse.record_delays(there_now)
    kept = box.warehouse.query("select * from operations.load_delays order by partition_date")
    assert kept["delay_seconds"].to_list() == [9_000, None]
    assert kept["next_due_at"].to_list() == [NOW, NOW + timedelta(days=1)]


@pytest.mark.row("X4")
def test_the_record_is_read_while_another_process_keeps_the_warehouse(box: WarehouseBox) -> None:
    """A load of an hour at six in the morning must not be the hour in which nobody sees what is late."""
    land(box, TRANSACTIONS, FIRST)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(box.path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "open\n"
            assert there(box, TRANSACTIONS.name) == [FIRST]
        finally:
            holder.kill()


@pytest.mark.row("X4")
def test_a_warehouse_that_is_gone_takes_its_record_with_it(box: WarehouseBox) -> None:
    """A copy that outlives what it speaks of would call a lost warehouse fresh."""
    land(box, TRANSACTIONS, FIRST)
    assert copy_path(box.path).exists()
    box.path.unlink()
    assert box.warehouse.load_times().is_empty()
    assert box.warehouse.load_times().schema == SCHEMA


def test_a_record_that_named_tables_without_their_zone_is_read_on(tmp_path: Path) -> None:
    """Its days would be landed a second time beside the first."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create schema operations")
        connection.execute(
            """create table operations.data_load_times (
                dataset varchar not null, partition_date date not null, load_sequence bigint not null,
                row_count bigint not null, digest varchar not null,
                data_as_of timestamp with time zone not null, landed_at timestamp with time zone not null
            )"""
        )
        connection.execute(
            "insert into operations.data_load_times values ('transactions', ?, 1, 3, 'd', ?, ?)", [FIRST, NOW, NOW]
        )
    box = WarehouseBox(tmp_path)
    assert there(box, TRANSACTIONS.name) == [FIRST]
    box.warehouse.record_builds([FACT], 1, now=NOW)
    box.warehouse.record_model_days({FACT.name: [TRANSACTIONS.name]}, now=NOW)
    assert there(box, FACT.name) == [FIRST]
