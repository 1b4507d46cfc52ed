"""A landing table refuses a curated day whose files are not what the contract says, even when its manifest passed it.

Belongs here: files written under another contract, by an older release or by hand. Does not: spoiled frames between
lake assets (test_lake_assets), the models (test_spoiled_models).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets_tests.assets.conftest import NOW, checks_of, failures_of, materialize
from assets_tests.fakes.warehouse import SPOILED_TABLE, WarehouseBox
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.dataset import Column, Dataset
from payments_platform.contracts.sample import sample
from payments_platform.defs._platform.partitions import DAILY
from payments_platform.defs.landing.tables import landing_checks, landing_tables
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage

LANDING = {asset.key.path[-1]: (asset, checks) for asset, checks in zip(landing_tables, landing_checks, strict=True)}
every_table = pytest.mark.parametrize("table", LANDING)


@pytest.fixture
def disk(tmp_path: Path) -> Lake:
    """A lake in a folder: the warehouse reads its files itself."""
    return Lake(LocalStorage(tmp_path / "lake"))


@pytest.fixture
def box(tmp_path: Path) -> WarehouseBox:
    """An empty warehouse."""
    return WarehouseBox(tmp_path / "warehouse")


def commit(lake: Lake, curated: Dataset, rows: pl.DataFrame) -> None:
    """A day that the lake believes good, with whatever columns the rows have."""
    known = {column.name: column for column in curated.columns}
    columns = [
        replace(known.get(name, Column(name, dtype, "Not in the contract.")), dtype=dtype, nullable=True)
        for name, dtype in rows.schema.items()
    ]
    other = replace(curated, columns=tuple(columns), primary_key=(columns[0].name,), sums=None, rules=())
    lake.write(SAMPLE_DAY, {other: rows}, code_version="another", now=NOW)
    lake.set_verdict(curated, SAMPLE_DAY, "passed")


def renamed(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.rename({key: "not_in_the_contract"})


def lacking(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.drop(rows.columns[-1])


def retyped(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(1, dtype=pl.Int64()).alias(key))


def keyless(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, dtype=rows.schema[key]).alias(key))


Spoil = Callable[[pl.DataFrame, str], pl.DataFrame]
REFUSALS: dict[Spoil, str] = {
    renamed: "written under another contract",
    lacking: "written under another contract",
    retyped: "written under another contract",
    keyless: "NOT NULL constraint failed",
}


@every_table
@pytest.mark.row("C4", "B4")
@pytest.mark.parametrize("spoil", REFUSALS)
def test_files_outside_the_contract_are_refused_and_nothing_lands(
    table: str, spoil: Spoil, disk: Lake, box: WarehouseBox
) -> None:
    """A column that DuckDB fills with nulls, or casts, is wrong money that no later table can tell from right."""
    curated = dataset(f"curated/{table}")
    commit(disk, curated, spoil(sample(curated), curated.primary_key[0]))
    asset, checks = LANDING[table]
    result = materialize([asset, checks], disk, warehouse=box.warehouse)
    (failure,) = failures_of(result)
    assert failure.startswith(f"landing_{table}: ")
    assert REFUSALS[spoil] in failure
    assert checks_of(result) == {}
    assert box.warehouse.query(f"select count(*) as n from landing.{table}")["n"].item() == 0
    assert box.warehouse.query("select count(*) as n from operations.data_load_times")["n"].item() == 0


@every_table
@pytest.mark.row("C4", "B4")
@pytest.mark.parametrize("statement", SPOILED_TABLE.values(), ids=SPOILED_TABLE)
def test_the_gate_sees_a_table_that_was_changed_behind_the_load(
    table: str, statement: str, disk: Lake, box: WarehouseBox
) -> None:
    """The gate reads what lies in the warehouse, and not what the load says it wrote."""
    landing = dataset(f"landing/{table}")
    box.land(landing, SAMPLE_DAY, sample(landing))
    box.spoil(landing, statement)
    # In place of the load: Dagster runs no check for a day without an asset of that day.
    stand_in = dg.asset(key=list(landing.key), partitions_def=DAILY)(lambda: None)
    result = materialize([stand_in, LANDING[table][1]], disk, warehouse=box.warehouse)
    assert not result.success
    assert not any(judged.passed for judged in checks_of(result).values())


@every_table
def test_the_same_files_under_the_contract_land(table: str, disk: Lake, box: WarehouseBox) -> None:
    """A test of the tests above: what they refuse is the spoiling and not the way the day was made."""
    curated = dataset(f"curated/{table}")
    commit(disk, curated, sample(curated))
    asset, checks = LANDING[table]
    assert failures_of(materialize([asset, checks], disk, warehouse=box.warehouse)) == []


def test_every_landing_table_is_tried() -> None:
    assert set(LANDING) == {table.table for table in of_zone("landing")}
