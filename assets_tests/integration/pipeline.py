"""The whole platform under test: a source that was simulated, a lake and a warehouse of the test's own.

Belongs here: running the commands as a person does, and what they left behind, as values that tests compare. Does not:
what must be true of it (the tests).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from assets_tests import conftest
from assets_tests.conftest import Stack
from assets_tests.fakes.warehouse import SEQUENCES
from payments_platform.cli import app
from payments_platform.clients.postgres import connect
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.lake.partitions import Lake
from payments_platform.lake.paths import is_manifest
from payments_platform.lake.storage import LocalStorage
from payments_platform.local import sites
from payments_platform.local.home import Home
from payments_platform.local.servers.postgres import superuser
from payments_platform.vocabulary import DBT_ZONES, LAKE_ZONES
from payments_platform.warehouse.duckdb import DuckDBWarehouse

# What `Settings.export` puts into the environment of a command; a test leaves no trace of it.
_EXPORTED: Final = ("DAGSTER_HOME", "PAYMENTS_HOME", "PAYMENTS_WAREHOUSE_PATH", "PAYMENTS_PLATFORM_DAGSTER_URL")
_IDENTITY_COLUMNS: Final = ("full_name", "email", "phone", "address")


@dataclass(frozen=True)
class Platform:
    """A lake and a warehouse of their own, fed from the stack's source."""

    stack: Stack
    folder: Path

    @property
    def lake(self) -> Lake:
        return Lake(LocalStorage(self.folder / "lake"))

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(self.folder / "warehouse.duckdb")

    def variables(self, **more: str) -> dict[str, str]:
        """The environment that leads a command to this platform."""
        return {
            "PAYMENTS_HOME": str(self.stack.home),
            "PAYMENTS_ENVIRONMENT": "test",
            "PAYMENTS_LAKE_ROOT": str(self.folder / "lake"),
            "PAYMENTS_WAREHOUSE_PATH": str(self.folder / "warehouse.duckdb"),
            **more,
        }

    def command(self, *arguments: str, **variables: str) -> Result:
        """Run ``payments …`` in this process; its error, if any, is text and an exit code, as a person sees it."""
        with environment(self.variables(**variables)):
            return CliRunner().invoke(app, arguments, catch_exceptions=True)

    def backfill(self, first: date, last: date, *more: str, **variables: str) -> Result:
        return self.command("backfill", "--from", str(first), "--to", str(last), *more, **variables)

    def built(self, first: date, last: date, *more: str, **variables: str) -> None:
        """As ``backfill``, and it must work."""
        result = self.backfill(first, last, *more, **variables)
        assert result.exit_code == 0, result.output

    def lake_digests(self) -> dict[str, tuple[str, int, str]]:
        """Verdict, rows and digest of every day of every dataset that is content and not a record of a run."""
        return {
            f"{name} {manifest.day}": (manifest.verdict, output.rows, output.digest)
            for zone in ("raw", "clean", "curated")
            for keeper in of_zone(zone)
            for manifest in self.lake.manifests(keeper)
            for name, output in manifest.outputs.items()
        }

    def warehouse_digests(self) -> dict[str, str]:
        """Content of every table of the warehouse, without the numbers of the loads that brought it."""
        found = {}
        for zone in ("landing", *DBT_ZONES):
            for table in of_zone(zone):
                exclude = [name for name in SEQUENCES if name in table.names]
                found[table.name] = self.warehouse.digest(f"{zone}.{table.table}", exclude)
        # Keys that a replaced day no longer had are a record of what happened, not of what is.
        found.pop("staging/stg_removed_keys")
        return found

    def landing_digests(self) -> dict[str, str]:
        """As ``warehouse_digests``, of what is there before the models are built."""
        tables = of_zone("landing")
        return {table.name: self.warehouse.digest(f"landing.{table.table}", ["load_sequence"]) for table in tables}

    def stray_files(self) -> list[str]:
        """Files of the lake that are neither a manifest nor named by one."""
        named = {
            file.path
            for zone in LAKE_ZONES
            for keeper in of_zone(zone)
            if zone != "quarantine"
            for manifest in self.lake.manifests(keeper)
            for output in manifest.outputs.values()
            for file in output.files
        }
        there = {file.path for zone in LAKE_ZONES for file in self.lake.storage.list(zone)}
        return sorted(path for path in there - named if not is_manifest(path))

    def rows(self, name: str, day: date) -> pl.DataFrame:
        return self.lake.scan(dataset(name), day).collect()


class OfTheStack(Platform):
    """The lake and the warehouse that the stack's own services use."""

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(self.stack.settings.warehouse_path)

    def variables(self, **more: str) -> dict[str, str]:
        return {"PAYMENTS_HOME": str(self.stack.home), "PAYMENTS_ENVIRONMENT": "test", **more}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that are as before afterwards, those that a command exports too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _EXPORTED:
            patch.setenv(name, os.environ.get(name, ""))
            if not os.environ[name]:
                patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def source_rows(stack: Stack, query: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """What the source itself says, asked on the primary with full rights."""
    with administrator(stack) as connection:
        return [tuple(row) for row in connection.execute(query.encode(), parameters).fetchall()]


@contextmanager
def administrator(stack: Stack, server: str = "primary") -> Iterator[Any]:
    """A session of the superuser on the source, every statement its own transaction."""
    site = sites.known_site(Home(stack.home))
    assert site is not None
    with connect(superuser(site, server, "payments"), autocommit=True, name="tests") as connection:
        yield connection


def fresh_source(stack: Stack) -> None:
    """The source as the migrations left it, for fixtures that outlive one test."""
    conftest._replace(stack.home, template=conftest._PRISTINE, database=conftest._DATABASE)


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def identities(stack: Stack) -> set[str]:
    """Every name, e-mail, phone number and address of a person that the source knows."""
    columns = ", ".join(_IDENTITY_COLUMNS)
    found = source_rows(stack, f"SELECT {columns} FROM oltp.customer_identities")
    return {str(value) for row in found for value in row if value is not None}
