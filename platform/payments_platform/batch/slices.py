"""A day in slices of whole keys, so that work which must see all rows of a key fits into memory however large the day.

Belongs here: choosing the slices. Does not: what is done with one (validate.py), writing them (lake/writing.py).
"""

from typing import Final

import polars as pl

# Judging so many versions of a payment and finding the latest of each takes about 2.5 GB.
SLICE_ROWS: Final = 3_000_000


def sliced(rows: pl.LazyFrame, key: str, slice_rows: int = SLICE_ROWS) -> list[pl.LazyFrame]:
    """The rows in as few slices as keep each at about ``slice_rows``; all rows of a key lie in one slice.

    A key that alone has more rows makes its slice larger. A null key counts as one key.
    """
    count: int = rows.select(pl.len()).collect().item()
    slices = -(-count // slice_rows)
    if slices <= 1:
        return [rows]
    # The hash may change with a release of the engine: then rows lie in other slices, and the day holds the same.
    number = pl.col(key).hash(seed=0) % slices
    return [rows.filter(number == wanted) for wanted in range(slices)]
