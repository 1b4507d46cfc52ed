"""`payments query`: reads and nothing else, and prints what it read exactly."""

import csv
import json
import subprocess
import sys
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assets_tests.fakes.warehouse import WarehouseBox
from payments_platform.cli import app
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.sample import sample
from payments_platform.warehouse.protocol import WarehouseBusy, WarehouseMissing
from payments_platform.warehouse.query import QueryRefused, ask

MERCHANTS = dataset("landing/merchants")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> WarehouseBox:
    box = WarehouseBox(tmp_path_factory.mktemp("query"))
    box.land(MERCHANTS, date(2025, 1, 1), sample(MERCHANTS, 5))
    return box


@pytest.fixture
def payments(box: WarehouseBox, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("PAYMENTS_WAREHOUSE_PATH", str(box.path))
    return CliRunner()


def rows(box: WarehouseBox, sql: str) -> list[tuple[object, ...]]:
    with ask(box.path, sql, wait_seconds=0) as answer:
        return list(answer.rows)


@pytest.mark.row("O7")
@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from landing.merchants",
        "with m as (from landing.merchants) select count(*) from m",
        "describe landing.merchants",
        "show all tables",
        "explain select 1",
        "select 1;",
        "-- a comment\nselect 1",
    ],
)
def test_reading_statements_are_answered(box: WarehouseBox, sql: str) -> None:
    assert rows(box, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "select 1; select 2",
        "select 1; drop table landing.merchants",
        "insert into landing.merchants select * from landing.merchants",
        "drop table landing.merchants",
        "delete from landing.merchants",
        "explain analyze delete from landing.merchants",
        "create table t as select 1",
        "create temp table t as select 1",
        "set enable_external_access = true",
        "pragma database_list",
        "call pragma_version()",
        "attach ':memory:' as other",
        "install httpfs",
        "load httpfs",
        "copy landing.merchants to 'merchants.csv'",
        "explain analyze copy landing.merchants to 'merchants.csv'",
        "export database 'folder'",
        "select * from read_text('/etc/hostname')",
        "select * from read_csv('/etc/hostname')",
        "from '/etc/hostname'",
        "select * from glob('/*')",
        "selec 1",
        "select * from nothing_here",
    ],
)
def test_everything_else_is_refused_and_changes_nothing(box: WarehouseBox, sql: str) -> None:
    """Lost: a pasted query could delete the warehouse, or carry a file of this machine out."""
    before = box.path.read_bytes()
    with pytest.raises(QueryRefused):
        rows(box, sql)
    assert box.path.read_bytes() == before
    assert not Path("merchants.csv").exists()


def test_json_keeps_decimals_dates_and_nulls(payments: CliRunner) -> None:
    sql = "select 0.1::decimal(18, 9) d, date '2025-01-02' as day, timestamptz '2025-01-02 03:04:05Z' as t, null as n"
    result = payments.invoke(app, ["query", sql, "--format", "json"])
    assert json.loads(result.stdout) == [
        {"d": "0.100000000", "day": "2025-01-02", "t": "2025-01-02T03:04:05Z", "n": None}
    ]


def test_json_of_no_rows_is_an_empty_array(payments: CliRunner) -> None:
    assert json.loads(payments.invoke(app, ["query", "select 1 where false", "--format", "json"]).stdout) == []


def test_csv_can_be_read_back(payments: CliRunner) -> None:
    sql = """select 'a "quoted", one' as text, 1e-9::decimal(18, 9) as tiny, null as nothing, true as yes"""
    result = payments.invoke(app, ["query", sql, "--format", "csv"])
    assert list(csv.reader(StringIO(result.stdout))) == [
        ["text", "tiny", "nothing", "yes"],
        ['a "quoted", one', "0.000000001", "", "true"],
    ]


def test_a_table_says_how_many_rows_it_leaves_out_and_shows_brackets_as_they_are(payments: CliRunner) -> None:
    result = payments.invoke(
        app, ["query", "select merchant_id || '[red]' as m from landing.merchants", "--limit", "2"]
    )
    assert "mer_sample_1[red]" in result.stdout
    assert "3 more rows" in result.stderr


def test_a_refusal_is_one_message_and_exit_code_1(payments: CliRunner) -> None:
    result = payments.invoke(app, ["query", "drop table landing.merchants"])
    assert result.exit_code == 1
    assert "DROP is refused" in result.stderr
    assert result.stdout == ""


def test_a_warehouse_that_is_not_there_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(WarehouseMissing, match="payments backfill"), ask(tmp_path / "no.duckdb", "select 1"):
        pass


def test_a_load_under_way_is_waited_for_and_said(box: WarehouseBox) -> None:
    hold = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print(1, flush=True); time.sleep(1)"
    told: list[str] = []
    with subprocess.Popen([sys.executable, "-c", hold, str(box.path)], stdout=subprocess.PIPE) as load:
        assert load.stdout
        load.stdout.readline()
        with pytest.raises(WarehouseBusy), ask(box.path, "select 1", wait_seconds=0):
            pass
        with ask(box.path, "select 42", wait_seconds=30, on_wait=told.append) as answer:
            assert list(answer.rows) == [(42,)]
    assert told == [f"The warehouse is in use by process {load.pid}; waiting up to 30 s."]
