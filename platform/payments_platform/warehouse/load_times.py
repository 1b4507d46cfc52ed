"""When each day of each dataset landed and passed: ``operations.data_load_times``, and the copy beside the warehouse.

How long that took, and usually takes, is ``operations.load_delays``.

Belongs here: SQL of the record on an open connection, and reading the copy. Does not: opening the file (duckdb.py),
what a landing time means (operations/freshness.py).
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

SCHEMA: Final = pl.Schema(
    {
        "dataset": pl.String(),
        "partition_date": pl.Date(),
        "load_sequence": pl.Int64(),
        "row_count": pl.Int64(),
        "data_as_of": pl.Datetime("us", "UTC"),
        "first_landed_at": pl.Datetime("us", "UTC"),
        "landed_at": pl.Datetime("us", "UTC"),
        "is_passed": pl.Boolean(),
    }
)
# One row per dataset and day. What was loaded last must have passed: an earlier content says nothing of it. The same
# content loaded again has passed already.
_LATEST: Final = """
    select dataset, partition_date, max(load_sequence) as load_sequence, arg_max(row_count, landed_at) as row_count,
        arg_max(data_as_of, landed_at) as data_as_of, min(landed_at) as first_landed_at, max(landed_at) as landed_at,
        coalesce(max(load_sequence) filter (passed_at is not null) = max(load_sequence), false) as is_passed
    from operations.data_load_times group by dataset, partition_date
"""
# The days of a model: those of which all that it reads has landed, passed, and was there when the model was built.
_MODEL_DAYS: Final = f"""
    insert into operations.data_load_times
        (dataset, partition_date, load_sequence, row_count, digest, data_as_of, landed_at, passed_at)
    with read as (
        select partition_date, load_sequence, data_as_of from ({_LATEST})
        where list_contains($reads, dataset) and is_passed
            and load_sequence <= (select load_sequence from operations.model_builds where model = $model)
    ),
    covered as (
        select partition_date, max(load_sequence) as load_sequence, min(data_as_of) as data_as_of
        from read group by partition_date having count(*) = len($reads)
    )
    select $model, partition_date, load_sequence, null, null, data_as_of, $now, $now from covered
    where not exists (
        from operations.data_load_times as known where known.dataset = $model
            and known.partition_date = covered.partition_date and known.load_sequence >= covered.load_sequence
    )
"""
_VERDICT: Final = """
    update operations.data_load_times as known set passed_at = $passed_at
    where dataset = $dataset and list_contains($days, partition_date) and load_sequence = (
        select max(load_sequence) from operations.data_load_times as latest
        where latest.dataset = known.dataset and latest.partition_date = known.partition_date
    )
"""
_LAKE_DAYS: Final = """
    insert into operations.data_load_times
        (dataset, partition_date, load_sequence, row_count, digest, data_as_of, landed_at, passed_at)
    select dataset, partition_date, 0, row_count, digest, data_as_of, landed_at, landed_at from lake_days
    where not exists (
        from operations.data_load_times as known where known.dataset = lake_days.dataset
            and known.partition_date = lake_days.partition_date and known.landed_at = lake_days.landed_at
    )
"""


def copy_path(warehouse: Path) -> Path:
    """Where the copy lies: beside the file, readable while a load or dbt keeps the file for itself."""
    return warehouse.with_suffix(".load_times.parquet")


def leave_copy(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    """Write the latest landing of each dataset and day beside the warehouse; readers see the old copy or the new."""
    target = copy_path(warehouse)
    temporary = target.with_name(f".{target.name}.{id(connection):x}")
    quoted = str(temporary).replace("'", "''")
    try:
        connection.execute(f"copy ({_LATEST} order by all) to '{quoted}' (format parquet)")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def read_copy(warehouse: Path) -> pl.DataFrame:
    """The latest landing of each dataset and day as of the last commit; no row where there is no warehouse.

    A warehouse that was deleted takes its copy with it: what it held is nowhere.
    """
    path = copy_path(warehouse)
    if not warehouse.exists() or not path.exists():
        return pl.DataFrame(schema=SCHEMA)
    return pl.read_parquet(path, glob=False).cast(SCHEMA)


def highest(connection: duckdb.DuckDBPyConnection) -> int:
    """The load_sequence of the last load that brought something; 0 for none."""
    found = connection.execute("select coalesce(max(load_sequence), 0) from operations.data_load_times").fetchone()
    return int(found[0]) if found else 0


def record_verdict(
    connection: duckdb.DuckDBPyConnection, dataset: str, days: Sequence[date], passed_at: datetime | None
) -> None:
    """Say of the latest content of these days that it passed its checks, or (None) that it did not."""
    connection.execute(_VERDICT, {"dataset": dataset, "days": list(days), "passed_at": passed_at})


def record_builds(
    connection: duckdb.DuckDBPyConnection, models: Sequence[str], load_sequence: int, now: datetime
) -> None:
    """Remember up to which load these models have been built."""
    for model in models:
        connection.execute("delete from operations.model_builds where model = ?", [model])
        connection.execute("insert into operations.model_builds values (?, ?, ?)", [model, load_sequence, now])


def record_model_days(connection: duckdb.DuckDBPyConnection, reads: Mapping[str, Sequence[str]], now: datetime) -> None:
    """Give each model, by the landing tables that it reads, the days that it holds now and did not hold before."""
    for model, landing in reads.items():
        connection.execute(_MODEL_DAYS, {"model": model, "reads": list(landing), "now": now})


def record_delays(connection: duckdb.DuckDBPyConnection, delays: pl.DataFrame) -> None:
    """Replace the days that these rows of ``operations/data_load_times`` are of, for SQL and BI."""
    connection.register("delays", delays.to_arrow())
    connection.execute("create table if not exists operations.load_delays as select * from delays limit 0")
    connection.execute("delete from operations.load_delays where partition_date in (select partition_date from delays)")
    connection.execute("insert into operations.load_delays by name select * from delays")
    connection.unregister("delays")


def record_lake_days(connection: duckdb.DuckDBPyConnection, days: pl.DataFrame) -> None:
    """Add the landings of lake days (dataset, partition_date, row_count, digest, data_as_of, landed_at) not known."""
    connection.register("lake_days", days.to_arrow())
    connection.execute(_LAKE_DAYS)
    connection.unregister("lake_days")
