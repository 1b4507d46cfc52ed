"""Columns that the tables of the star schema share: keys, validity, membership, bookkeeping, derived attributes.

Belongs here: what more than one dimension, fact or aggregate has. Does not: columns of the source (columns.py), of one
table (its file).
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset, pick

FIRST_MOMENT: Final = datetime(1, 1, 1, tzinfo=UTC)
LAST_MOMENT: Final = datetime(9999, 12, 31, tzinfo=UTC)

SEQUENCE: Final = replace(
    c.LOAD_SEQUENCE, description="Highest load that brought or removed a row of this key; 0 when none did."
)
IS_INFERRED: Final = Column("is_inferred", pl.Boolean(), "Named by a fact while the source has not shown it.", False)
MEMBER: Final = (
    Column("is_deleted", pl.Boolean(), "The source deleted the entity with this version.", False),
    IS_INFERRED,
    SEQUENCE,
)


def version_key(name: str, entity: str) -> Column:
    """Key of a dimension with history."""
    return Column(name, pl.Int64(), f"Key of the {entity}: hash of its identifier and effective_from; -1 unknown.", 1)


def date_key(name: str, moment: str, *, when_null: str = "unknown") -> Column:
    """Key of dim_date."""
    return Column(name, pl.Int32(), f"UTC day of {moment}, key of dim_date; -1 {when_null}.", 20250101)


def time_key(name: str, moment: str) -> Column:
    """Key of dim_time."""
    return Column(name, pl.Int32(), f"UTC minute of {moment}, key of dim_time; -1 unknown.", 1200)


def attributes(landing: Dataset, names: str) -> tuple[Column, ...]:
    """Attributes of a dimension, null for unknown and inferred members."""
    return tuple(column.loose() for column in pick(landing.columns, names))


def count(name: str, description: str) -> Column:
    """A number of rows."""
    return Column(name, pl.Int64(), description, 1, unit="rows")


def usd(name: str, description: str) -> Column:
    """An amount in US cents."""
    return Column(name, pl.Int64(), description, 1300, unit="minor")
