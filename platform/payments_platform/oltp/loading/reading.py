"""Reads a file of transactions into columns of known names and types, every value still as the file gave it.

Belongs here: formats, column names, line numbers. Does not: which rows are good (judging.py).
"""

from hashlib import sha256
from pathlib import Path
from typing import Final

import polars as pl

from payments_platform.errors import ExplainedError

REQUIRED: Final = ("transaction_id", "created_at", "customer_id", "merchant_id", "currency")
AMOUNTS: Final = ("amount", "amount_minor")
OPTIONAL: Final = (
    *("status", "updated_at", "payment_method_id", "device_id", "country", "mcc", "description", "is_fraud"),
)
KNOWN: Final = (*REQUIRED, *AMOUNTS, *OPTIONAL)
_INSTANTS: Final = ("created_at", "updated_at")


class LoadRefused(ExplainedError):
    """The file as a whole cannot be loaded; nothing was written."""


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the known columns, absent ones null, with the ``line`` of each row; and the names that were ignored.

    Text is trimmed, and empty text is null. Instants may be text or timestamps, amounts text, integers, decimals or
    floats (taken by their shortest text, ``12.1`` is 12.10). A line is the line of the record in a CSV without line
    breaks inside values, header being line 1; in Parquet it is the number of the row.
    """
    frame, first_line = _open(path)
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise LoadRefused(f"{path.name} lacks the column {', '.join(missing)}. Required: {', '.join(REQUIRED)}.")
    if not any(name in frame.columns for name in AMOUNTS):
        raise LoadRefused(f"{path.name} has neither amount (decimal) nor amount_minor (integer). Add one of them.")
    ignored = tuple(name for name in frame.columns if name not in KNOWN)
    columns = [_column(frame, name) for name in KNOWN]
    return frame.select(pl.int_range(first_line, pl.len() + first_line).alias("line"), *columns), ignored


def digest(path: Path) -> str:
    """Return twelve hexadecimal digits that name the file's content: the same file is the same load."""
    found = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()[:12]


def _open(path: Path) -> tuple[pl.DataFrame, int]:
    if not path.is_file():
        raise LoadRefused(f"There is no file {path}.")
    try:
        if path.suffix == ".parquet":
            names = pl.read_parquet_schema(path)
            return pl.read_parquet(
                path, columns=[name for name in names if name in KNOWN or not _is_wide(names[name])]
            ), 1
        if path.name.endswith((".csv", ".csv.gz")):
            # Types are explicit: everything is text first, and each value is judged for itself.
            return pl.read_csv(path, infer_schema=False), 2
    except (pl.exceptions.PolarsError, OSError, ValueError) as problem:
        # The reader's message quotes values of the file; only its kind is repeated.
        raise LoadRefused(
            f"{path.name} cannot be read ({type(problem).__name__}): cut off, another format, or not comma-separated?"
        ) from None
    raise LoadRefused(f"{path.name}: give a file that ends in .parquet, .csv or .csv.gz.")


def _is_wide(dtype: pl.DataType) -> bool:
    return dtype.is_nested() or dtype == pl.Binary


def _column(frame: pl.DataFrame, name: str) -> pl.Expr:
    if name not in frame.columns:
        return pl.lit(None, dtype=pl.String).alias(name)
    dtype, column = frame.schema[name], pl.col(name)
    if name in _INSTANTS and dtype.is_temporal():
        return _instant(name, dtype)
    if dtype.is_nested() or dtype.is_temporal() or dtype == pl.Binary:
        raise LoadRefused(f"The column {name} is of type {dtype}; give it as text.")
    text = column.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text).alias(name)


def _instant(name: str, dtype: pl.DataType) -> pl.Expr:
    """A timestamp column as text that says UTC; one without a zone is taken as UTC."""
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column.cast(pl.Datetime("us")).dt.to_string("%Y-%m-%dT%H:%M:%S%.6f").alias(name)
