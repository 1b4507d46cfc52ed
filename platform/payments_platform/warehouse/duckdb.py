"""The warehouse as one DuckDB file: the default on a laptop, in tests and in continuous integration.

Belongs here: opening the file (one writer at a time, machine-wide), landing, reading. Does not: queries that people
type (query.py), models (dbt/).
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl

from payments_platform.contracts.catalogue import of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.sql_types import create_table, sql_type
from payments_platform.warehouse import load_times
from payments_platform.warehouse.protocol import (
    BOOKKEEPING,
    UPGRADES,
    DaySource,
    LandingMismatch,
    LoadResult,
    WarehouseBusy,
    WarehouseMissing,
)

SCHEMAS = ("landing", "staging", "intermediate", "marts", "aggregates", "operations")
_POLL_SECONDS = 0.2
_LOCKED = re.compile(r"Could not set lock on file|Conflicting lock")
_HOLDER = re.compile(r"PID (\d+)")


def open_file(
    path: Path,
    *,
    read_only: bool = False,
    config: Mapping[str, str] | None = None,
    wait_seconds: float = 600,
    on_wait: Callable[[str], None] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open the file, waiting while another process has it: DuckDB lets one writer in, and no reader beside it.

    ``on_wait`` gets one sentence when the wait begins. Raises WarehouseBusy after ``wait_seconds``.
    """
    deadline, told = time.monotonic() + wait_seconds, False
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config=dict(config or {}))
        except duckdb.IOException as error:
            if not _LOCKED.search(str(error)):
                raise
            found = _HOLDER.search(str(error))
            holder = f"process {found[1]}" if found else "another process"
        if time.monotonic() >= deadline:
            raise WarehouseBusy(
                f"{holder} has kept the warehouse {path} for {wait_seconds:.0f} s. Wait for it to end, then try again."
            )
        if on_wait and not told:
            on_wait(f"The warehouse is in use by {holder}; waiting up to {wait_seconds:.0f} s.")
            told = True
        time.sleep(_POLL_SECONDS)


class DuckDBWarehouse:
    """Implements ``Warehouse``. The file is open only during a call, so that dbt and queries get their turn."""

    def __init__(
        self,
        path: Path,
        *,
        memory_limit: str = "4GB",
        threads: int | None = None,
        wait_seconds: float = 600,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self._wait_seconds, self._on_wait = wait_seconds, on_wait
        self._settings = [f"set memory_limit = '{memory_limit}'", "set preserve_insertion_order = false"]
        if threads is not None:
            self._settings.append(f"set threads = {threads}")

    @contextmanager
    def connection(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """An open connection in UTC. Raises WarehouseBusy; WarehouseMissing when there is nothing to read."""
        if read_only and not self.path.exists():
            raise WarehouseMissing(f"There is no warehouse at {self.path} yet. Run: payments backfill")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = open_file(self.path, read_only=read_only, wait_seconds=self._wait_seconds, on_wait=self._on_wait)
        try:
            for statement in ("set timezone = 'UTC'", *self._settings):
                connection.execute(statement)
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _recording(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to change the record of landing times with; leaves the copy that is read while others write."""
        with self.connection() as connection:
            _create_tables(connection)
            yield connection
            load_times.leave_copy(connection, self.path)

    def ensure_schema(self) -> None:
        with self._recording():
            pass

    def load_days(self, dataset: Dataset, days: Sequence[DaySource], *, now: datetime) -> list[LoadResult]:
        with self._recording() as connection:
            self._refuse_other_columns(connection, dataset)
            with _transaction(connection):
                return _Load(connection, dataset, now).days(days)

    def _refuse_other_columns(self, connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
        """A table of an earlier contract is not altered: models read all of it, and would take its gaps for facts."""
        table = f"{dataset.zone}.{dataset.table}"
        found = {name: kind.lower().replace(",", ", ") for name, kind, *_ in _described(connection, table)}
        wanted = {column.name: sql_type(column.dtype) for column in dataset.columns}
        if found != wanted:
            names = sorted(name for name, _ in found.items() ^ wanted.items())
            raise LandingMismatch(
                f"{table} was made before its contract changed ({', '.join(dict.fromkeys(names))})."
                f" The warehouse is made from the lake: delete {self.path}, then build your days: payments backfill"
            )

    def query(self, sql: str) -> pl.DataFrame:
        with self.connection(read_only=True) as connection:
            return _frame(connection, sql)

    def read(self, dataset: Dataset) -> pl.DataFrame:
        return self.query(_select(dataset, "true"))

    def batches(self, dataset: Dataset, condition: str = "true", *, rows: int = 250_000) -> Iterator[pl.DataFrame]:
        with self.connection(read_only=True) as connection:
            reader = connection.sql(_select(dataset, condition)).to_arrow_reader(rows)
            read = 0
            for batch in reader or ():
                read += batch.num_rows
                yield pl.DataFrame(pl.from_arrow(batch))
            if read == 0:
                yield _frame(connection, _select(dataset, "false"))

    def judged(self, models: Sequence[Dataset]) -> dict[str, int]:
        with self.connection() as connection:
            _create_tables(connection)
            found = connection.execute(
                "select model, contract, max(load_sequence) from operations.judged_models group by all"
            ).fetchall()
        highest = {(model, contract): sequence for model, contract, sequence in found}
        return {model.name: highest.get((model.name, model.fingerprint), 0) for model in models}

    def record_judged(self, judged: Sequence[tuple[Dataset, int]], *, now: datetime) -> None:
        rows = [(model.name, model.fingerprint, sequence, now) for model, sequence in judged]
        if rows:
            with self.connection() as connection:
                connection.executemany("insert into operations.judged_models values (?, ?, ?, ?)", rows)

    def record_landing(self, landing: Dataset, days: Sequence[date], *, is_passed: bool, now: datetime) -> None:
        with self._recording() as connection:
            load_times.record_verdict(connection, landing.name, days, now if is_passed else None)

    def highest_load(self) -> int:
        with self.connection() as connection:
            _create_tables(connection)
            return load_times.highest(connection)

    def record_builds(self, models: Sequence[Dataset], load_sequence: int, *, now: datetime) -> None:
        with self.connection() as connection:
            _create_tables(connection)
            load_times.record_builds(connection, [model.name for model in models], load_sequence, now)

    def record_model_days(self, reads: Mapping[str, Sequence[str]], *, now: datetime) -> None:
        with self._recording() as connection:
            load_times.record_model_days(connection, reads, now)

    def record_lake_days(self, days: pl.DataFrame) -> None:
        with self._recording() as connection:
            load_times.record_lake_days(connection, days)

    def record_delays(self, delays: pl.DataFrame) -> None:
        with self.connection() as connection:
            _create_tables(connection)
            with _transaction(connection):
                load_times.record_delays(connection, delays)

    def load_times(self) -> pl.DataFrame:
        return load_times.read_copy(self.path)

    def digest(self, relation: str, exclude: Sequence[str] = ()) -> str:
        left_out = f"exclude ({', '.join(exclude)})" if exclude else ""
        count, total = self.query(
            "select count(*), (coalesce(sum(hash(t)), 0) % 18446744073709551616::hugeint)::varchar "
            f"from (select * {left_out} from {relation}) as t"
        ).row(0)
        return f"duckdb-{duckdb.__version__}:{count}:{int(total):016x}"


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All that is done in the block, or nothing of it."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _select(dataset: Dataset, condition: str) -> str:
    return f"select {', '.join(dataset.names)} from {dataset.zone}.{dataset.table} where {condition}"


def _frame(connection: duckdb.DuckDBPyConnection, sql: str) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(connection.sql(sql).to_arrow_table()))


def _described(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, ...]]:
    """Name and type of each column, as DuckDB writes them."""
    return connection.execute(f"describe select * from {relation}").fetchall()


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    for schema in SCHEMAS:
        connection.execute(f"create schema if not exists {schema}")
    for statement in (*BOOKKEEPING, *UPGRADES, *(create_table(dataset) for dataset in of_zone("landing"))):
        connection.execute(statement)


class _Load:
    """One transaction of ``load_days``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, now: datetime) -> None:
        self._connection, self._dataset, self._now = connection, dataset, now
        self._table = f"{dataset.zone}.{dataset.table}"
        self._columns = dataset.columns[:-2]
        self._key = dataset.primary_key[1]
        last = connection.execute(
            "select greatest((select max(load_sequence) from operations.data_load_times), "
            "(select max(load_sequence) from landing.removed_keys), 0)"
        ).fetchone()
        self._sequence = 1 + (last[0] if last else 0)
        self._landed = {
            day: (sequence, digest)
            for day, sequence, digest in connection.execute(
                "select partition_date, max(load_sequence), arg_max(digest, load_sequence) "
                "from operations.data_load_times where dataset = ? group by all",
                [dataset.name],
            ).fetchall()
        }

    def days(self, days: Sequence[DaySource]) -> list[LoadResult]:
        return [self._day(day) for day in days]

    def _day(self, day: DaySource) -> LoadResult:
        started = time.perf_counter()
        sequence, digest = self._landed.get(day.day, (self._sequence, ""))
        is_changed = digest != day.digest
        if is_changed:
            sequence = self._sequence
            self._replace(day)
        self._connection.execute(
            "insert into operations.data_load_times "
            "(dataset, partition_date, load_sequence, row_count, digest, data_as_of, landed_at) "
            "values (?, ?, ?, ?, ?, ?, ?)",
            [self._dataset.name, day.day, sequence, day.row_count, day.digest, day.data_as_of, self._now],
        )
        return LoadResult(day.day, sequence, day.row_count, is_changed, time.perf_counter() - started)

    def _replace(self, day: DaySource) -> None:
        incoming = self._incoming(day)
        if day.day in self._landed:
            self._connection.execute(
                f"insert into landing.removed_keys select distinct ?, {self._key}, created_at::date, ?::bigint "
                f"from {self._table} as old where partition_date = ? and not exists (select 1 from {incoming} as new "
                f"where new.{self._key} = old.{self._key} and new.created_at::date = old.created_at::date)",
                [self._dataset.table, self._sequence, day.day],
            )
            self._connection.execute(f"delete from {self._table} where partition_date = ?", [day.day])
        names = ", ".join(column.name for column in self._columns)
        found = self._connection.execute(
            f"insert into {self._table} ({names}, partition_date, load_sequence) "
            f"select {names}, ?::date, ?::bigint from {incoming}",
            [day.day, self._sequence],
        ).fetchone()
        count = found[0] if found else 0
        if count != day.row_count:
            raise LandingMismatch(
                f"{self._table} {day.day}: {count} rows read but the manifest says {day.row_count}. "
                f"Build curated/{self._dataset.table} of that day again, then land it."
            )

    def _incoming(self, day: DaySource) -> str:
        """A relation with the day's rows, after checking its columns and types against the contract."""
        if isinstance(day.source, pl.DataFrame):
            self._connection.register("incoming_frame", day.source.to_arrow())
            relation = "incoming_frame"
        elif not day.source:
            self._connection.register("incoming_frame", pl.DataFrame(schema=self._dataset.schema).to_arrow())
            relation = "incoming_frame"
        else:
            files = ", ".join("'" + file.replace("'", "''") + "'" for file in day.source)
            relation = f"read_parquet([{files}], hive_partitioning = false)"
        self._check(relation, day)
        return relation

    def _check(self, relation: str, day: DaySource) -> None:
        try:
            described = _described(self._connection, relation)
        except duckdb.Error as error:
            raise LandingMismatch(
                f"{self._table} {day.day}: a file cannot be read ({str(error).splitlines()[0]}). "
                f"Build curated/{self._dataset.table} of that day again, then land it."
            ) from error
        found = {name: kind.lower().replace(",", ", ") for name, kind, *_ in described}
        wrong = [
            f"{column.name} is {found.get(column.name, 'missing')}, not {sql_type(column.dtype)}"
            for column in self._columns
            if found.get(column.name) != sql_type(column.dtype)
        ]
        if wrong:
            raise LandingMismatch(
                f"{self._table} {day.day}: {'; '.join(wrong)}. "
                f"The files were written under another contract: build curated/{self._dataset.table} again."
            )
