"""A warehouse of its own for a test: lands frames in a DuckDB file and runs the real dbt project on it, in process.

Belongs here: landing with made-up bookkeeping, one dbt parse for all tests. Does not: what tests expect.
"""

import gc
import os
import shutil
import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
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


class DbtFailed(AssertionError):
    """dbt ended with errors; the text lists them."""


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
        failed = [f"{run.node.name}: {run.message}" for run in runs if run.status in {"error", "fail", "runtime error"}]
        raise DbtFailed("\n".join(failed) or str(result.exception))
    return result.result


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
