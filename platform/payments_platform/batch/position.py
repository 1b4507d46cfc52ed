"""Which row version of a key is the latest: by its position (epoch, version), never by a clock.

Belongs here: the order of versions in a frame. Does not: judging them (validate.py).
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any, Final

import narwhals as nw

Lazy = nw.LazyFrame[Any]

ORDER: Final = "position_order"
HIGHEST: Final = "highest_position"
# A version has 31 bits, so the epoch stands above all versions in one integer.
_VERSIONS: Final = 2**31


def with_highest(rows: Lazy, key: Sequence[str], position: Sequence[str]) -> Lazy:
    """Add each row's position as one number, and the highest of its key."""
    order = reduce(lambda high, low: high * _VERSIONS + low, (nw.col(name).cast(nw.Int64) for name in position))
    return rows.with_columns(order.alias(ORDER)).with_columns(nw.col(ORDER).max().over(*key).alias(HIGHEST))


def is_highest() -> nw.Expr:
    """True for the latest version of each key, in a frame made by ``with_highest``."""
    return nw.col(ORDER) == nw.col(HIGHEST)
