"""A warehouse of its own for a test: lands frames in a DuckDB file and runs the real dbt project on it, in process.

Belongs here: landing with made-up bookkeeping, one dbt parse for all tests. Does not: what tests expect.
"""

import gc
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import polars as pl

from payments_platform.contracts.catalogue import of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.vocabulary import DBT_ZONES
from payments_platform.warehouse.duckdb import DuckDBWarehouse
from payments_platform.warehouse.protocol import DaySource, LoadResult

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

DBT = Path(__file__).resolve().parents[2] / "dbt"
NOW = datetime(2025, 2, 1, tzinfo=UTC)
MODELS = tuple(model for zone in DBT_ZONES for model in of_zone(zone))


# What a table becomes when somebody changes it behind the load, in SQL by what is wrong afterwards.
SPOILED_TABLE = {
    "a wrong column": "alter table {table} rename column {key} to not_in_the_contract",
    "a wrong type": "alter table {table} alter column {key} set data type integer using 1",
    "a null key": "alter table {table} alter column {key} drop not null; update {table} set {key} = null",
}


class DbtFailed(AssertionError):
    """dbt ended with errors: the text lists them, ``refused`` the models that failed, were skipped or failed a test."""

    def __init__(self, text: str, refused: frozenset[str]) -> None:
        super().__init__(text)
        self.refused = refused


# Columns that number loads: they follow the order of loads, and are the only ones that may.
SEQUENCES: Final = ("load_sequence", "payment_sequence", "customer_sequence")


class WarehouseBox:
    """A DuckDB warehouse in a folder, with the verbs a test needs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "warehouse.duckdb"
        self.warehouse = DuckDBWarehouse(self.path, memory_limit="2GB")
        self.warehouse.ensure_schema()

    def land(self, dataset: Dataset, day: date, rows: pl.DataFrame) -> LoadResult:
        """Land a day; its digest is made from the rows, as a manifest's is."""
        return self.land_all(dataset, {day: rows})[0]

    def land_all(self, dataset: Dataset, days: dict[date, pl.DataFrame]) -> list[LoadResult]:
        """Land several days in one load."""
        columns = dataset.names[:-2]
        sources = [
            DaySource(day, rows.select(columns), rows.height, _digest(rows.select(columns)), NOW)
            for day, rows in days.items()
        ]
        return self.warehouse.load_days(dataset, sources, now=NOW)

    def spoil(self, dataset: Dataset, statement: str) -> None:
        """Run one of ``SPOILED_TABLE`` on a landing table's own key."""
        with self.warehouse.connection() as connection:
            connection.execute(statement.format(table=f"landing.{dataset.table}", key=dataset.primary_key[1]))

    def dbt(self, *arguments: str) -> None:
        """Run dbt on this warehouse. Raises DbtFailed."""
        run_dbt(self.path, *arguments)

    def digests(self, *, exclude: Sequence[str] = ()) -> dict[str, str]:
        """Fingerprint of every model."""
        return {
            model.name: self.warehouse.digest(
                f"{model.zone}.{model.table}", [name for name in exclude if name in model.names]
            )
            for model in MODELS
        }

    def copy_to(self, folder: Path) -> "WarehouseBox":
        """The same warehouse in another file."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.path, folder / "warehouse.duckdb")
        return WarehouseBox(folder)


def run_dbt(path: Path, *arguments: str, manifest: bool = True) -> Any:  # noqa: ANN401 - dbt's result is untyped
    """Run a dbt command in process against a DuckDB file and let go of the file. Raises DbtFailed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        folders = ["--project-dir", str(DBT), "--profiles-dir", str(DBT), "--target-path", _target()]
        variables = {"PAYMENTS_WAREHOUSE_PATH": str(path), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        with patch.dict(os.environ, variables):
            runner = dbtRunner(manifest=_manifest() if manifest else None)
            result = runner.invoke(["--quiet", *arguments, *folders, "--log-path", _target(), "--no-use-colors"])
        DuckDBConnectionManager.close_all_connections()
        gc.collect()
    if not result.success:
        runs = getattr(result.result, "results", [])
        failed = [run for run in runs if run.status in {"error", "fail", "runtime error"}]
        text = "\n".join(f"{run.node.name}: {run.message}" for run in failed)
        raise DbtFailed(text or str(result.exception), frozenset(_refused(runs)))
    return result.result


def _refused(runs: Sequence[Any]) -> Iterator[str]:
    """Names of the models that did not come about, and of those that an error-severity test spoke against."""
    for run in runs:
        if run.node.resource_type == "model" and run.status in {"error", "skipped"}:
            yield run.node.name
        if run.node.resource_type == "test" and run.status in {"error", "fail"}:
            yield from (name.rpartition(".")[2] for name in run.node.depends_on.nodes)


@cache
def _target() -> str:
    return mkdtemp(prefix="payments-dbt-")


@cache
def _manifest() -> "Manifest":
    """The parsed project: one parse for the whole test run. It holds the name of the file, so all tests use one."""
    manifest: Manifest = run_dbt(Path(_target()) / "warehouse.duckdb", "parse", manifest=False)
    return manifest


def _digest(rows: pl.DataFrame) -> str:
    return f"test:{rows.height}:{rows.hash_rows(seed=0).sort().hash(seed=0).sum() if rows.height else 0}"
