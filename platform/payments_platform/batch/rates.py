"""Which exchange rate a day uses, and money in US cents by it, exactly.

Belongs here: the rate in force on each day, and the integer arithmetic on frames. Does not: what a currency is
(money.py, whose ``to_usd_minor`` is the scalar reference of this arithmetic).
"""

from datetime import date, timedelta
from typing import Any, Final

import narwhals as nw
import polars as pl

from payments_platform.money import EXPONENT

RATE_DECIMALS: Final = 9
_INT64_MAX: Final = 2**63 - 1
# Names of the columns that a join with ``rates_in_force`` adds beside usd_rate and usd_rate_date.
RATE_E9: Final = "usd_rate_e9"
DIVISOR: Final = "usd_divisor"


def rates_in_force(rates: pl.LazyFrame, last: date) -> pl.DataFrame:
    """For each currency and each day up to ``last``: the last rate fixed *before* that day.

    Columns: currency, created_date, usd_rate, usd_rate_date, and as integers the rate in 1e-9 and the divisor that
    turns minor units times that into US cents. A day before the first rate of its currency has no row. The rate of
    the day itself is not used: it is not known yet while the day's payments come in.
    """
    known = rates.filter(pl.col("currency").is_in(list(EXPONENT))).collect()
    earliest: Any = known["rate_date"].min()
    first = last if earliest is None else min(earliest, last)
    days = pl.DataFrame({"created_date": pl.date_range(first, last + timedelta(days=1), eager=True)})
    grid = days.join(known.select("currency").unique(), how="cross").sort("created_date")
    dated = known.select("currency", "usd_rate", usd_rate_date="rate_date").sort("usd_rate_date")
    divisors = {code: 10 ** (RATE_DECIMALS - EXPONENT["USD"] + exponent) for code, exponent in EXPONENT.items()}
    return (
        grid.join_asof(
            dated,
            left_on="created_date",
            right_on="usd_rate_date",
            by="currency",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col("usd_rate").is_not_null())
        .with_columns(
            (pl.col("usd_rate") * 10**RATE_DECIMALS).cast(pl.Int64).alias(RATE_E9),
            pl.col("currency").replace_strict(divisors, return_dtype=pl.Int64).alias(DIVISOR),
        )
    )


def usd_minor(amount: str) -> nw.Expr:
    """US cents of a column of minor units, rounded half to even, from RATE_E9 and DIVISOR of the same row.

    Integers all the way: the product has up to 127 bits, and a division that rounds down leaves a remainder that
    decides the half. A result beyond 64 bits is null, never a wrapped number: the row keeps its rate, so that it can
    be told from a row without one.
    """
    divisor = nw.col(DIVISOR).cast(nw.Int128)
    product = nw.col(amount).cast(nw.Int128) * nw.col(RATE_E9).cast(nw.Int128)
    quotient = product // divisor
    twice = (product - quotient * divisor) * 2
    goes_up = (twice > divisor) | ((twice == divisor) & (quotient % 2 == 1))
    cents = quotient + goes_up.cast(nw.Int128)
    fits = (cents <= _INT64_MAX) & (cents >= -_INT64_MAX - 1)
    nothing: Any = None
    return nw.when(fits).then(cents).otherwise(nw.lit(nothing)).cast(nw.Int64)
