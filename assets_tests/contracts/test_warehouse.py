"""What every warehouse must do, whatever engine holds it: one suite, run on each adapter there is."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from assets_tests.fakes.warehouse import NOW, WarehouseBox
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.sample import sample
from payments_platform.warehouse.duckdb import DuckDBWarehouse
from payments_platform.warehouse.protocol import DaySource, LandingMismatch, WarehouseBusy, WarehouseMissing

TRANSACTIONS = dataset("landing/transactions")
CURATED = dataset("curated/transactions")
FIRST, SECOND = date(2025, 1, 1), date(2025, 1, 2)
HOLD = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(60)"


@pytest.fixture
def box(tmp_path: Path) -> WarehouseBox:
    return WarehouseBox(tmp_path)


def removed(box: WarehouseBox) -> list[tuple[str, str, int]]:
    frame = box.warehouse.query("select dataset, removed_key, load_sequence from landing.removed_keys order by all")
    return frame.rows()


@pytest.mark.parametrize("landing", of_zone("landing"), ids=lambda landing: landing.table)
def test_a_landed_table_has_exactly_its_contracts_columns_and_types(box: WarehouseBox, landing: object) -> None:
    table = dataset(getattr(landing, "name", ""))
    box.land(table, FIRST, sample(table, 3))
    assert box.warehouse.read(table).schema == table.schema


@pytest.mark.row("B6", "Y3")
def test_landing_a_day_twice_leaves_rows_and_sequence_and_records_both_times(box: WarehouseBox) -> None:
    """Else every repeated run would make dbt compute all its days again."""
    once = box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3))
    before = box.warehouse.digest("landing.transactions")
    again = box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3))
    assert (once.is_changed, again.is_changed) == (True, False)
    assert again.load_sequence == once.load_sequence
    assert box.warehouse.digest("landing.transactions") == before
    assert box.warehouse.query("select count(*) as n from operations.data_load_times")["n"].item() == 2


@pytest.mark.row("B6")
def test_the_order_of_days_does_not_matter(tmp_path: Path) -> None:
    days = {FIRST: sample(TRANSACTIONS, 3), SECOND: sample(TRANSACTIONS, 5)}
    boxes = [WarehouseBox(tmp_path / name) for name in "ab"]
    for box, order in zip(boxes, (list(days), list(days)[::-1]), strict=True):
        for day in order:
            box.land(TRANSACTIONS, day, days[day])
    first, second = (box.warehouse.digest("landing.transactions", ["load_sequence"]) for box in boxes)
    assert first == second


def test_a_key_that_vanishes_from_a_day_is_recorded(box: WarehouseBox) -> None:
    """Lost: the payment would stay in the marts for ever although the lake no longer has it."""
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3))
    result = box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3)[:2])
    assert removed(box) == [("transactions", "txn_sample_2", result.load_sequence)]
    assert box.warehouse.read(TRANSACTIONS).height == 2


def test_an_empty_day_is_landed(box: WarehouseBox) -> None:
    result = box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3).clear())
    assert (result.row_count, result.is_changed) == (0, True)
    assert box.warehouse.load_days(TRANSACTIONS, [DaySource(SECOND, [], 0, "none", NOW)], now=NOW)[0].row_count == 0


def test_parquet_files_and_a_frame_land_the_same_rows(box: WarehouseBox, tmp_path: Path) -> None:
    rows = sample(CURATED, 4)
    files = [str(tmp_path / f"it's {n}.parquet") for n in range(2)]
    rows[:1].write_parquet(files[0])
    rows[1:].write_parquet(files[1])
    box.land(TRANSACTIONS, FIRST, rows)
    from_frame = box.warehouse.digest("landing.transactions", ["load_sequence"])
    box.warehouse.load_days(TRANSACTIONS, [DaySource(FIRST, files, 4, "files", NOW)], now=NOW)
    assert box.warehouse.digest("landing.transactions", ["load_sequence"]) == from_frame


@pytest.mark.row("E2")
@pytest.mark.parametrize("fault", ["rows", "column", "type", "truncated"])
def test_a_day_that_breaks_its_contract_is_refused_and_none_of_the_load_stays(
    box: WarehouseBox, tmp_path: Path, fault: str
) -> None:
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3))
    before = box.warehouse.digest("landing.transactions")
    rows, path = sample(CURATED, 4), tmp_path / "day.parquet"
    match fault:
        case "column":
            rows = rows.drop("currency")
        case "type":
            rows = rows.with_columns(pl.col("amount_minor").cast(pl.Float64))
    rows.write_parquet(path)
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    good = DaySource(SECOND, sample(CURATED, 2), 2, "good", NOW)
    bad = DaySource(FIRST, [str(path)], 5 if fault == "rows" else 4, "bad", NOW)
    with pytest.raises(LandingMismatch, match=r"landing\.transactions 2025-01-01"):
        box.warehouse.load_days(TRANSACTIONS, [good, bad], now=NOW)
    assert box.warehouse.digest("landing.transactions") == before
    assert removed(box) == []


def test_rows_come_in_batches_and_an_empty_answer_still_has_its_columns(box: WarehouseBox) -> None:
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 5))
    assert sum(batch.height for batch in box.warehouse.batches(TRANSACTIONS, rows=2)) == 5
    (empty,) = box.warehouse.batches(TRANSACTIONS, "false")
    assert empty.schema == TRANSACTIONS.schema


def test_times_keep_their_microseconds_and_their_zone(box: WarehouseBox) -> None:
    moment = datetime(2025, 1, 1, 23, 59, 59, 999999, tzinfo=UTC)
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 1).with_columns(pl.lit(moment).alias("created_at")))
    assert box.warehouse.read(TRANSACTIONS)["created_at"].item() == moment


@pytest.mark.row("C5")
def test_how_far_a_model_was_judged_is_kept_with_its_contract(box: WarehouseBox) -> None:
    """Another contract has judged nothing yet; the mark never falls back."""
    model, other = dataset("marts/fact_transaction"), dataset("marts/dim_merchant")
    assert box.warehouse.judged([model, other]) == {model.name: 0, other.name: 0}
    for sequence in (7, 5):
        box.warehouse.record_judged([(model, sequence)], now=NOW)
    assert box.warehouse.judged([model, other]) == {model.name: 7, other.name: 0}
    stricter = replace(model, rules=())
    assert box.warehouse.judged([stricter]) == {model.name: 0}


@pytest.mark.row("E1")
def test_a_busy_warehouse_is_waited_for_then_named_with_its_holder(box: WarehouseBox) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(box.path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        told: list[str] = []
        waiting = DuckDBWarehouse(box.path, wait_seconds=0.3, on_wait=told.append)
        with pytest.raises(WarehouseBusy, match=f"process {holder.pid} has kept"):
            waiting.query("select 1")
        holder.kill()
    assert len(told) == 1
    assert waiting.query("select 1 as one")["one"].item() == 1


def test_reading_what_does_not_exist_yet_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(WarehouseMissing, match="payments backfill"):
        DuckDBWarehouse(tmp_path / "none.duckdb").query("select 1")


def test_a_table_of_an_earlier_contract_is_named_and_left_alone(box: WarehouseBox) -> None:
    """Altered in place, it would be half old and half new; the lake makes it whole again."""
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 3))
    with box.warehouse.connection() as connection:
        connection.execute("alter table landing.transactions drop column browser_name")
    with pytest.raises(LandingMismatch, match=r"\(browser_name\).*delete .*payments backfill"):
        box.land(TRANSACTIONS, SECOND, sample(TRANSACTIONS, 3))
