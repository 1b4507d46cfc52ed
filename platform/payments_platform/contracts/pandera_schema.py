"""A contract as a Pandera schema, and its verdict on frames: which rule is broken, how often, in which rows.

Belongs here: deriving the schema and reading its errors. Does not: rules (the domain files), what follows from a
verdict. Pandera takes seconds to import, so it is imported at first use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import polars as pl

from payments_platform.contracts.dataset import Column, Dataset, Pii, Rule, Severity
from payments_platform.contracts.rules import UNIQUE_KEY, applied

if TYPE_CHECKING:
    import pandera.polars as pa

SHOWN_ROWS: Final = 5
# Rule ids of what every contract demands beside its own rules.
MISSING, SURPLUS, ORDER, TYPE, NULL = (
    "C-column-present",
    "C-column-known",
    "C-column-order",
    "C-type",
    "C-not-null",
)


@dataclass(frozen=True)
class Violation:
    """A broken rule: its id (and column), the number of rows, and ids of up to five of them; never another value."""

    rule: str
    count: int
    row_ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = f" (e.g. {', '.join(self.row_ids)})" if self.row_ids else ""
        return f"{self.rule}: {self.count}{rows}"


@lru_cache(maxsize=64)
def pandera_schema(dataset: Dataset) -> "pa.DataFrameSchema":
    """The dataset's contract: columns in order and no others, types, nullability, every rule by its id.

    Frames must be collected: on a lazy one Pandera looks at no value and says nothing.
    """
    import pandera.polars as pa

    columns = {
        column.name: pa.Column(column.dtype, nullable=column.nullable, description=column.description)
        for column in dataset.columns
    }
    checks = [
        pa.Check(_holds(dataset, rule), name=rule.id, error=rule.reason)
        for rule in dataset.rules
        if rule.severity is Severity.ROW
    ]
    return pa.DataFrameSchema(columns, checks=checks, strict=True, ordered=True, name=dataset.name)


def validate(dataset: Dataset, frame: pl.DataFrame) -> list[Violation]:
    """What a collected frame breaks of its contract; [] for nothing. Uniqueness is of the whole day: duplicate_keys."""
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"{dataset.name}: validate a collected frame; the values of a lazy one are not looked at")
    from pandera.errors import SchemaErrors

    try:
        pandera_schema(dataset).validate(frame, lazy=True)
    except SchemaErrors as errors:
        return _violations(dataset, frame) or [Violation(str(error.reason_code), 1) for error in errors.schema_errors]
    return []


def duplicate_keys(dataset: Dataset, frame: pl.LazyFrame) -> list[Violation]:
    """The keys that more than one row of the whole day has; only key columns are read."""
    key = list(dataset.primary_key)
    distinct = pl.struct(key).n_unique() if len(key) > 1 else pl.col(key[0]).n_unique()
    surplus = frame.select((pl.len().cast(pl.Int64) - distinct).alias("surplus")).collect(engine="streaming").item()
    if not surplus:
        return []
    repeated = frame.select(key).group_by(key).len().filter(pl.col("len") > 1).sort(key).head(SHOWN_ROWS)
    ids = row_ids(dataset, repeated.collect(engine="streaming"))
    return [Violation(f"{UNIQUE_KEY.id}:{'+'.join(key)}", surplus, ids)]


def row_ids(dataset: Dataset, frame: pl.DataFrame) -> tuple[str, ...]:
    """Ids of the first rows by primary key. Pseudonyms of people stay out: what is logged outlives an erasure."""
    open_columns = [
        name for name in dataset.primary_key if name in frame.columns and dataset.column(name).pii is Pii.NONE
    ]
    return tuple("/".join(str(value) for value in row) for row in frame.select(open_columns).head(SHOWN_ROWS).rows())


def _holds(dataset: Dataset, rule: Rule) -> Callable[[Any], pl.LazyFrame]:
    def check(data: Any) -> pl.LazyFrame:  # noqa: ANN401 - PolarsData, of a module imported late
        held: pl.LazyFrame = nw.from_native(data.lazyframe).select(_good(dataset, rule)).to_native()
        return held

    return check


def _good(dataset: Dataset, rule: Rule) -> nw.Expr:
    return applied(rule, dataset).alias(rule.id)


def _violations(dataset: Dataset, frame: pl.DataFrame) -> list[Violation]:
    """Say what Pandera refused in rule ids, counts and row ids; its own texts hold the values."""
    structural = _structure(dataset, frame)
    if structural:
        return structural
    nulls = [_broken(dataset, frame, f"{NULL}:{column.name}", _is_null(column)) for column in dataset.columns]
    rules = [_broken(dataset, frame, rule.id, _is_broken(dataset, frame, rule)) for rule in dataset.row_rules]
    return [violation for violation in (*nulls, *rules) if violation.count]


def _structure(dataset: Dataset, frame: pl.DataFrame) -> list[Violation]:
    wanted = dataset.schema
    found = [Violation(f"{MISSING}:{name}", frame.height) for name in wanted if name not in frame.columns]
    found += [Violation(f"{SURPLUS}:{name}", frame.height) for name in frame.columns if name not in wanted]
    found += [
        Violation(f"{TYPE}:{name}", frame.height)
        for name, dtype in wanted.items()
        if name in frame.columns and frame.schema[name] != dtype
    ]
    if not found and frame.columns != wanted.names():
        found.append(Violation(ORDER, frame.height))
    return found


def _is_null(column: Column) -> pl.Expr:
    return pl.lit(value=False) if column.nullable else pl.col(column.name).is_null()


def _is_broken(dataset: Dataset, frame: pl.DataFrame, rule: Rule) -> pl.Series:
    held: pl.Series = nw.from_native(frame).select(_good(dataset, rule)).to_native()[rule.id]
    return ~held


def _broken(dataset: Dataset, frame: pl.DataFrame, rule: str, is_broken: pl.Expr | pl.Series) -> Violation:
    rows = frame.filter(is_broken)
    return Violation(rule, rows.height, row_ids(dataset, rows))
