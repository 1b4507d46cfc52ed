"""How a column's Polars type is written in SQL, the same words for every warehouse.

Belongs here: the closed map of types and the DDL of one table. Does not: statements that move data (warehouse/).
"""

import polars as pl

from payments_platform.contracts.dataset import Column, Dataset

_PLAIN = {
    pl.String: "varchar",
    pl.Int16: "smallint",
    pl.Int32: "integer",
    pl.Int64: "bigint",
    pl.Boolean: "boolean",
    pl.Date: "date",
}


def sql_type(dtype: pl.DataType) -> str:
    """The SQL type of a column. Raises TypeError for a type that no warehouse table holds (a float above all)."""
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision}, {dtype.scale})"
    if isinstance(dtype, pl.Datetime):
        if (dtype.time_unit, dtype.time_zone) != ("us", "UTC"):
            raise TypeError(f"{dtype} is no UTC time in microseconds; the warehouse holds no other")
        return "timestamp with time zone"
    for known, name in _PLAIN.items():
        if isinstance(dtype, known):
            return name
    raise TypeError(f"no warehouse type for {dtype}; add it to contracts/sql_types.py if a column needs it")


def column_ddl(column: Column) -> str:
    """One column of a CREATE TABLE: name, type, null or not."""
    return f"{column.name} {sql_type(column.dtype)}{'' if column.nullable else ' not null'}"


def create_table(dataset: Dataset) -> str:
    """CREATE TABLE IF NOT EXISTS of a dataset, columns in contract order, without indexes: loads replace whole days."""
    columns = ", ".join(column_ddl(column) for column in dataset.columns)
    return f"create table if not exists {dataset.zone}.{dataset.table} ({columns})"
