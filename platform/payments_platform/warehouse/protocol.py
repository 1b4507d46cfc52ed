"""What every warehouse offers, DuckDB here and Snowflake in production, and the errors they share.

Belongs here: the protocol, its records and typed errors, the bookkeeping tables. Does not: SQL of one engine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Protocol

import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.errors import ExplainedError

BOOKKEEPING: Final = (
    """create table if not exists landing.removed_keys (
        dataset varchar not null, removed_key varchar not null, created_date date not null,
        load_sequence bigint not null
    )""",
    """create table if not exists operations.data_load_times (
        dataset varchar not null, partition_date date not null, load_sequence bigint not null,
        row_count bigint, digest varchar,
        data_as_of timestamp with time zone not null, landed_at timestamp with time zone not null,
        passed_at timestamp with time zone
    )""",
    """create table if not exists operations.model_builds (
        model varchar not null, load_sequence bigint not null, built_at timestamp with time zone not null
    )""",
    """create table if not exists operations.judged_models (
        model varchar not null, contract varchar not null, load_sequence bigint not null,
        judged_at timestamp with time zone not null
    )""",
)
# A warehouse whose landing times named tables without their zone: what it holds was loaded and then judged.
UPGRADES: Final = (
    "alter table operations.data_load_times add column if not exists passed_at timestamp with time zone",
    "alter table operations.data_load_times alter column row_count drop not null",
    "alter table operations.data_load_times alter column digest drop not null",
    """update operations.data_load_times set dataset = 'landing/' || dataset, passed_at = landed_at
        where not contains(dataset, '/')""",
)


class WarehouseError(ExplainedError):
    """A warehouse refused; nothing of the failed call is left behind."""


class WarehouseMissing(WarehouseError):
    """There is no warehouse yet."""


class WarehouseBusy(WarehouseError):
    """Another program kept the warehouse for longer than the caller waits. Transient: try again."""

    error_class = "transient"


class LandingMismatch(WarehouseError):
    """The files to land are not what their contract or manifest says. Permanent: landing them would corrupt marts."""


@dataclass(frozen=True)
class DaySource:
    """One day to land: its Parquet files as listed by the lake manifest, or a frame (small days, tests).

    ``row_count`` and ``digest`` come from the manifest; ``data_as_of`` is the time up to which the source was read.
    """

    day: date
    source: Sequence[str] | pl.DataFrame
    row_count: int
    digest: str
    data_as_of: datetime


@dataclass(frozen=True)
class LoadResult:
    """What landing one day did. ``is_changed`` false: the same content was there already and no row was touched."""

    day: date
    load_sequence: int
    row_count: int
    is_changed: bool
    seconds: float


class Warehouse(Protocol):
    """Landing, reading and comparing. Any order and any repetition of loads ends in the same tables."""

    def ensure_schema(self) -> None:
        """Create what is missing: schemas, landing tables from their contracts, bookkeeping. Safe to repeat."""

    def load_days(self, dataset: Dataset, days: Sequence[DaySource], *, now: datetime) -> list[LoadResult]:
        """Replace the given days of a landing table, all or none of them, in one transaction.

        Rows of a changed day get the load's ``load_sequence`` (one more than the highest so far); keys that the new
        content lacks go to ``landing.removed_keys``; every day gets a ``data_load_times`` row. A day whose digest is
        the one landed already keeps its rows and their sequence, so a repeated load costs nothing downstream.
        Raises LandingMismatch, WarehouseBusy.
        """

    def query(self, sql: str) -> pl.DataFrame:
        """Read with SQL of the program. What people type goes through ``warehouse.query``, which refuses the rest."""

    def read(self, dataset: Dataset) -> pl.DataFrame:
        """All rows of a dataset's table with exactly the contract's columns and types."""

    def batches(self, dataset: Dataset, condition: str = "true", *, rows: int = 250_000) -> Iterator[pl.DataFrame]:
        """The rows of a dataset's table that meet a SQL condition, some at a time; an empty frame when there are none.

        The warehouse stays open for reading until the last one is taken.
        """

    def judged(self, models: Sequence[Dataset]) -> dict[str, int]:
        """By name, the highest load_sequence up to which a model's rows have met its contract as it is now; 0 for none.

        A warehouse made anew, or another contract, starts at 0, so that everything is judged again.
        """

    def record_judged(self, judged: Sequence[tuple[Dataset, int]], *, now: datetime) -> None:
        """Remember that the rows of these models met their contracts up to a load_sequence."""

    def record_landing(self, landing: Dataset, days: Sequence[date], *, is_passed: bool, now: datetime) -> None:
        """Remember what the checks said of these days of a landing table: a day that failed them is not there."""

    def highest_load(self) -> int:
        """The load_sequence of the last load that brought something; 0 for none. A build holds all up to it."""

    def record_builds(self, models: Sequence[Dataset], load_sequence: int, *, now: datetime) -> None:
        """Remember up to which load these models have been built."""

    def record_model_days(self, reads: Mapping[str, Sequence[str]], *, now: datetime) -> None:
        """Give models that passed their checks, each by the landing tables it reads, a row for each day they hold.

        A day counts when all that the model reads of it had landed and passed before the model was built.
        """

    def record_lake_days(self, days: pl.DataFrame) -> None:
        """Keep the landing times of lake days beside those of the warehouse. Safe to repeat."""

    def record_delays(self, delays: pl.DataFrame) -> None:
        """Keep days of ``operations/data_load_times`` as the table ``operations.load_delays``. Safe to repeat."""

    def load_times(self) -> pl.DataFrame:
        """The latest landing of each dataset and day (``load_times.SCHEMA``), as of the last commit. Never waits."""

    def digest(self, relation: str, exclude: Sequence[str] = ()) -> str:
        """Order-free fingerprint of a table's rows; equal content gives equal text on the same engine version."""
