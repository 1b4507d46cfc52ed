"""The value that travels between lake assets: a frame per day, and its Dagster type derived from a contract."""

from datetime import date
from functools import cache

import dagster as dg
import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.specs import column_schema
from payments_platform.lake.errors import SchemaMismatch
from payments_platform.lake.frames import conforming


class DayFrames(dict[date, pl.LazyFrame]):
    """A lazy frame for each day of a run; days whose upstream did not pass are absent."""


def _problem(dataset: Dataset, frame: pl.LazyFrame) -> str | None:
    """What is wrong with a frame, or None: another schema, or a null in the key."""
    try:
        keys = conforming(frame, dataset).select(pl.col(*dataset.primary_key).null_count())
    except SchemaMismatch as mismatch:
        return "; ".join(mismatch.problems)
    nulls = keys.collect().row(0, named=True)
    broken = [name for name, count in nulls.items() if count]
    return f"null in key column {', '.join(broken)}" if broken else None


def _check(dataset: Dataset, value: object) -> dg.TypeCheck:
    if not isinstance(value, DayFrames):
        return dg.TypeCheck(success=False, description=f"expected DayFrames, got {type(value).__name__}")
    for day, frame in value.items():
        if problem := _problem(dataset, frame):
            return dg.TypeCheck(success=False, description=f"{dataset.name}[{day}]: {problem}")
    return dg.TypeCheck(success=True)


@cache
def dagster_type(dataset: Dataset) -> dg.DagsterType:
    """The type of a lake asset's value: right columns, types and order, no null in the key. Rules are for the checks.

    One object a dataset: Dagster refuses two types of one name.
    """
    return dg.DagsterType(
        name="_".join(dataset.key),
        type_check_fn=lambda _, value: _check(dataset, value),
        typing_type=DayFrames,
        description=dataset.grain,
        metadata={"dagster/column_schema": column_schema(dataset)},
    )
