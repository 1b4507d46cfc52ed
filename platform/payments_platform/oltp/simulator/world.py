"""One simulated company: what its data depend on, and the random streams that everything else draws from.

Belongs here: size, seed, ids. Does not: what merchants, customers or payments look like (modules beside this one).
A day's data depend on the world and the day alone, so days can be written in any order and continued later.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

DAY_MICROS = 86_400_000_000
_DAY_ZERO = date(1970, 1, 1)
# Raised when the same parameters begin to give other rows: a world half written by an older edition is not continued.
_EDITION = 2


class Stream(IntEnum):
    """What a random stream is for. Numbers are part of the data: a changed one changes every simulated row."""

    MERCHANTS = 1
    CUSTOMERS = 2
    METHODS = 3
    PAYMENTS = 4
    LIFECYCLE = 5
    CHANGES = 6
    ARRIVALS = 7
    DEFECTS = 8
    DEVICES = 9
    ARRIVAL_DEVICES = 10
    CONSENTS = 11
    SUBSCRIPTIONS = 12
    REVERSALS = 13
    FRAUD = 14
    RINGS = 15


@dataclass(frozen=True)
class World:
    """The parameters that decide every simulated row."""

    seed: int
    per_day: int
    defect_rate: float
    fraud_rate: float = 0.003

    @cached_property
    def name(self) -> str:
        """Six hexadecimal digits, part of every id: rows of two worlds, or of two ways to make one up, never meet."""
        text = f"{_EDITION}/{self.seed}/{self.per_day}/{self.defect_rate}/{self.fraud_rate}"
        return hashlib.sha256(text.encode()).hexdigest()[:6]

    @property
    def merchant_count(self) -> int:
        """Merchants that take payments."""
        return min(max(self.per_day // 25, 20), 5_000)

    @property
    def customer_count(self) -> int:
        """Regular customers; newcomers of each day come on top."""
        return min(max(self.per_day * 3 // 5, 200), 200_000)

    @property
    def dormant_count(self) -> int:
        """Merchants and customers that never pay: the ones that may be deleted without orphaning a payment."""
        return max(self.merchant_count // 20, 10)

    @property
    def newcomer_count(self) -> int:
        """Customers who arrive each day."""
        return max(self.per_day // 100, 1)

    def random(self, stream: Stream, day: date | None = None) -> np.random.Generator:
        """The generator of one stream, of one day or of the whole world."""
        place = 0 if day is None else day.toordinal()
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(self.name, 16), stream, place])))

    def ids(self, prefix: str, numbers: npt.NDArray[np.int64], digits: int) -> pl.Series:
        """``<prefix><world><number>``, with leading zeros."""
        text = pl.Series(numbers).cast(pl.String).str.zfill(digits)
        return pl.select(pl.lit(f"{prefix}{self.name}") + text).to_series()


def day_start(day: date) -> int:
    """Microseconds since 1970 at which the UTC day begins."""
    return (day - _DAY_ZERO).days * DAY_MICROS


def day_end(day: date) -> datetime:
    """The last microsecond of the UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, microseconds=-1)


def instants(micros: npt.NDArray[np.int64]) -> pl.Series:
    """Microseconds since 1970 as UTC instants."""
    return pl.Series(micros, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))


def weighted(random: np.random.Generator, weights: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """Indices drawn with the given weights, by inverting their running sum."""
    edges = np.cumsum(weights)
    picks: npt.NDArray[np.int64] = np.searchsorted(edges, random.random(count) * edges[-1], side="right").astype(
        np.int64
    )
    return picks


def share_of(random: np.random.Generator, count: int, rate: float) -> int:
    """``count * rate`` rounded up or down at random, so that small shares are met on average."""
    return min(count, int(count * rate + random.random()))
