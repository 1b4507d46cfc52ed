"""What a store or a topic holds, beside what the source committed: missing, changed, duplicate and phantom rows.

Belongs here: the comparison of two frames. Does not: what the source committed (truth.py), reading any store (sinks/).
"""

from collections.abc import Sequence
from functools import reduce
from typing import Final, Literal, get_args

import polars as pl

Kind = Literal["missing", "changed", "duplicate", "phantom"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
KIND: Final = "kind"
# Names of the columns that differ, never their values, which may be a person's. Empty unless the row is changed.
WHAT: Final = "what"


def differences(truth: pl.DataFrame, found: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Each row in which the two differ, as ``kind``, the key's columns and ``what``; empty when nothing differs.

    ``truth`` has one row a key; its other columns are compared, null equal to null alone. ``found`` has them too, and
    may have more. A key that is found twice is a duplicate, and changed too where one copy differs; a value that does
    not fit the column's type is a difference.
    A comparison that lets one of the four kinds pass would call a store whole that lost money, or invented some.
    """
    fields = [name for name in truth.columns if name not in key]
    typed = found.select(*key, *fields).cast({name: truth.schema[name] for name in (*key, *fields)}, strict=False)
    names = _different(typed.join(truth, on=list(key), suffix=_TRUE, nulls_equal=True), fields)
    return pl.concat(
        [
            _rows("missing", truth.join(typed, on=list(key), how="anti", nulls_equal=True), key),
            _rows("changed", names, key),
            _rows("duplicate", typed.group_by(key).len().filter(pl.col("len") > 1), key),
            _rows("phantom", typed.join(truth, on=list(key), how="anti", nulls_equal=True), key),
        ]
    ).sort(KIND, *key)


def counts(found: pl.DataFrame) -> dict[Kind, int]:
    """How many of each kind, in a frame made by ``differences``."""
    known = dict(found.group_by(KIND).len().iter_rows())
    return {kind: known.get(kind, 0) for kind in KINDS}


_TRUE: Final = " at the source"


def _different(pairs: pl.DataFrame, fields: Sequence[str]) -> pl.DataFrame:
    """The pairs that differ, each with the names of the fields that do."""
    marks = [
        pl.when(pl.col(name).ne_missing(pl.col(f"{name}{_TRUE}"))).then(pl.lit(f"{name}, ")).otherwise(pl.lit(""))
        for name in fields
    ]
    said = reduce(lambda text, mark: text + mark, marks, pl.lit("")).str.strip_suffix(", ").alias(WHAT)
    return pairs.with_columns(said).filter(pl.col(WHAT) != "")


def _rows(kind: Kind, rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    what = pl.col(WHAT) if WHAT in rows.columns else pl.lit("").alias(WHAT)
    return rows.select(pl.lit(kind).alias(KIND), *key, what).unique()
