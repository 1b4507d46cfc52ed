"""Deletes of entities whose last values broke a rule: they pass, with their identity and without those values.

Belongs here: which deletes are spared, and what values they take. Does not: the split (validate.py), what a delete
must carry (a dataset's ``identity``). See docs/adr/0019.
"""

from collections.abc import Sequence

import narwhals as nw

from payments_platform.batch.position import Lazy, is_highest, with_highest
from payments_platform.contracts.rules import DELETE_OP


def is_delete(identity: Sequence[str]) -> nw.Expr:
    """True for a delete that says which entity it deletes."""
    missing = nw.any_horizontal(*(nw.col(name).is_null() for name in identity), ignore_nulls=False)
    return (nw.col("op") == DELETE_OP) & ~missing


def stripped(deletes: Lazy, identity: Sequence[str], names: Sequence[str]) -> Lazy:
    """The deletes with every value but their identity null."""
    kinds = deletes.collect_schema()
    return deletes.with_columns(
        *(nw.lit(None).cast(kinds[name]).alias(name) for name in names if name not in identity)
    ).select(names)


def with_last_values(
    deletes: Lazy, good: Lazy, *, key: Sequence[str], position: Sequence[str], identity: Sequence[str]
) -> Lazy:
    """Stripped deletes, each with the values of the latest good version of its key, null where there is none.

    Without it a payment made and deleted on one day, with a bad version between, would be in no later table.
    """
    names = deletes.collect_schema().names()
    values = [name for name in names if name not in identity]
    of_deleted = good.join(deletes.select(*key), on=list(key), how="semi")
    latest = with_highest(of_deleted, key, position).filter(is_highest()).select(*key, *values)
    return (
        deletes.select(*(name for name in names if name in identity))
        .join(latest, on=list(key), how="left")
        .select(names)
    )
