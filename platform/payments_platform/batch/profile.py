"""What a day looks like in numbers: how often each column is empty, each listed value and each size of amount occurs.

Belongs here: the compact profile that a day's manifest keeps, as one lazy frame of the pass that judges the rows. Does
not: comparing days (as_usual.py). Counts over closed lists and sizes alone, so that no value of a person gets in.
"""

from typing import Any, Final

import narwhals as nw
import polars as pl

from payments_platform.batch.position import Lazy
from payments_platform.contracts.dataset import Dataset

COLUMN, VALUE, ROWS = "column", "value", "row_count"
# Stands for every value outside the list: what a source sends by mistake must not fill the manifest.
OTHER: Final = "(other)"
# Two steps a power of ten, in minor units: a shift of amounts by a factor of three moves a step.
AMOUNT_STEPS: Final = tuple(step * 10**power for power in range(10) for step in (1, 3))


def profile(raw: pl.LazyFrame, clean: Dataset) -> pl.LazyFrame | None:
    """Rows (column, value, row_count) of a day's versions; null as value counts the nulls. None without versions."""
    if not clean.identity:
        return None
    versions: Lazy = nw.from_native(raw)
    parts = [_nulls(versions, clean)]
    parts += [_mix(versions, column, _listed(column, values)) for column, values in clean.closed_lists.items()]
    if clean.sums:
        parts.append(_mix(versions, clean.sums[0], _size(clean.sums[0])))
    counted: pl.LazyFrame = nw.concat(parts).to_native()
    return counted


def _nulls(versions: Lazy, clean: Dataset) -> Lazy:
    names = [column.name for column in clean.columns if column.nullable]
    counts = versions.select(*(nw.col(name).is_null().cast(nw.Int64).sum().alias(name) for name in names))
    long = counts.unpivot(variable_name=COLUMN, value_name=ROWS)
    nothing: Any = None
    return long.select(nw.col(COLUMN).cast(nw.String), nw.lit(nothing, dtype=nw.String).alias(VALUE), nw.col(ROWS))


def _mix(versions: Lazy, column: str, value: nw.Expr) -> Lazy:
    counted = (
        versions.select(value.alias(VALUE))
        .filter(~nw.col(VALUE).is_null())
        .group_by(VALUE)
        .agg(nw.len().cast(nw.Int64).alias(ROWS))
    )
    return counted.select(nw.lit(column).alias(COLUMN), nw.col(VALUE), nw.col(ROWS))


def _listed(column: str, values: tuple[str, ...]) -> nw.Expr:
    found = nw.col(column)
    return nw.when(found.is_null() | found.is_in(list(values))).then(found).otherwise(nw.lit(OTHER))


def _size(amount: str) -> nw.Expr:
    """How many steps the amount reaches: 0 for nothing or less."""
    reached = nw.sum_horizontal(*((nw.col(amount) >= step).cast(nw.Int16) for step in AMOUNT_STEPS))
    return nw.when(~nw.col(amount).is_null()).then(reached).cast(nw.String)
