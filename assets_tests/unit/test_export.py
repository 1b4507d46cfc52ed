"""`payments export`: whole tables as files, replaced in one step, beside loads that go on."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from assets_tests.fakes.warehouse import WarehouseBox
from payments_platform.cli import app
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.sample import sample
from payments_platform.warehouse.export import Form, export
from payments_platform.warehouse.protocol import WarehouseMissing

MERCHANTS = dataset("landing/merchants")


@pytest.fixture
def box(tmp_path: Path) -> WarehouseBox:
    box = WarehouseBox(tmp_path)
    box.land(MERCHANTS, date(2025, 1, 1), sample(MERCHANTS, 5))
    return box


def exported(box: WarehouseBox, folder: Path, form: Form = "parquet") -> list[int]:
    return [it.rows for it in export(box.path, [MERCHANTS], folder, form, wait_seconds=0)]


@pytest.mark.row("O7")
def test_a_file_holds_the_table_with_its_types(box: WarehouseBox, tmp_path: Path) -> None:
    assert exported(box, tmp_path / "out") == [5]
    read = pl.read_parquet(tmp_path / "out" / "landing" / "merchants.parquet")
    assert read.schema == MERCHANTS.schema
    assert read.sort("merchant_id").equals(box.warehouse.read(MERCHANTS).sort("merchant_id"))


def test_a_second_export_replaces_the_first_and_leaves_nothing_behind(box: WarehouseBox, tmp_path: Path) -> None:
    out = tmp_path / "it's out"
    exported(box, out)
    box.land(MERCHANTS, date(2025, 1, 2), sample(MERCHANTS, 3))
    assert exported(box, out) == [8]
    assert [path.name for path in (out / "landing").iterdir()] == ["merchants.parquet"]


def test_a_csv_has_a_header_and_every_row(box: WarehouseBox, tmp_path: Path) -> None:
    exported(box, tmp_path / "out", "csv")
    lines = (tmp_path / "out" / "landing" / "merchants.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == ",".join(MERCHANTS.names)
    assert len(lines) == 6


def test_a_load_that_ends_badly_leaves_the_old_file(box: WarehouseBox, tmp_path: Path) -> None:
    """A report built on half a table is worse than yesterday's."""
    exported(box, tmp_path / "out")
    before = (tmp_path / "out" / "landing" / "merchants.parquet").read_bytes()
    with box.warehouse.connection() as connection:
        connection.execute("drop table landing.merchants")
    with pytest.raises(Exception, match="merchants"):
        exported(box, tmp_path / "out")
    assert (tmp_path / "out" / "landing" / "merchants.parquet").read_bytes() == before


def test_without_a_warehouse_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseMissing, match="payments demo"):
        list(export(tmp_path / "none.duckdb", [MERCHANTS], tmp_path, "parquet"))


def test_the_command_writes_every_mart_and_aggregate(
    box: WarehouseBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.dbt("run")
    monkeypatch.setenv("PAYMENTS_WAREHOUSE_PATH", str(box.path))
    result = CliRunner().invoke(app, ["export", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    written = {
        path.relative_to(tmp_path / "out").with_suffix("").as_posix() for path in (tmp_path / "out").rglob("*.parquet")
    }
    assert written == {it.name for zone in ("marts", "aggregates") for it in of_zone(zone)}
