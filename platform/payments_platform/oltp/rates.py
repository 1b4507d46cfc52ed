"""Invented exchange rates of the local source: a plausible series for every currency, the same on every machine.

Belongs here: the series and writing it. Does not: conversion of amounts (money.py, batch/). Rates depend on currency
and day alone, so that loads made at different times agree. Integers throughout: a float would differ by machine.
"""

from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from payments_platform.money import CURRENCIES

if TYPE_CHECKING:
    import psycopg

_NANO: Final = 1_000_000_000
# Billionths of a US dollar per major unit: rough levels of the currencies that the simulated shops use.
_LEVELS: Final[dict[str, int]] = {
    "USD": _NANO,
    "EUR": 1_080_000_000,
    "GBP": 1_270_000_000,
    "CHF": 1_130_000_000,
    "JPY": 6_700_000,
    "CAD": 730_000_000,
    "AUD": 660_000_000,
    "SEK": 95_000_000,
    "NOK": 94_000_000,
    "DKK": 145_000_000,
    "PLN": 250_000_000,
    "CZK": 43_000_000,
    "BRL": 190_000_000,
    "MXN": 55_000_000,
    "INR": 12_000_000,
    "SGD": 740_000_000,
    "HKD": 128_000_000,
    "KRW": 730_000,
    "KWD": 3_250_000_000,
    "AED": 272_300_000,
    "TND": 320_000_000,
    "ZAR": 54_000_000,
    "VND": 40_000,
    "CNY": 139_000_000,
}
_PARTS: Final = 1_000_000
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


def level(currency: str) -> int:
    """Return the rough level of a currency, in billionths of a US dollar per major unit."""
    known = _LEVELS.get(currency)
    if known is not None:
        return known
    number = int.from_bytes(currency.encode(), "big")
    return 1_000_000 + (number * 2_654_435_761) % 900_000_000


def series(first: date, last: date, currencies: tuple[str, ...] = CURRENCIES) -> pl.DataFrame:
    """Return currency, rate_date and usd_rate (decimal text) for every day of ``[first, last]``."""
    days = np.arange(first.toordinal(), last.toordinal() + 1, dtype=np.int64)
    dates = pl.date_range(first, last, eager=True)
    frames = [
        pl.DataFrame({"rate_date": dates, "nano": _nano(currency, days)}).with_columns(currency=pl.lit(currency))
        for currency in currencies
    ]
    whole, part = pl.col("nano") // _NANO, pl.col("nano") % _NANO
    rate = pl.concat_str(whole.cast(pl.String), part.cast(pl.String).str.zfill(9), separator=".")
    return pl.concat(frames).select("currency", "rate_date", usd_rate=rate)


def write(session: "psycopg.Connection[tuple[object, ...]]", rates: pl.DataFrame, load_id: str) -> int:
    """Add the rates that the source lacks, in the session's transaction; return how many were new."""
    session.execute(
        "CREATE TEMP TABLE new_rates (currency text, rate_date date, usd_rate numeric) ON COMMIT DROP",
    )
    with session.cursor().copy("COPY new_rates FROM STDIN (FORMAT csv)") as copy:
        copy.write(rates.write_csv(include_header=False).encode())
    added = session.execute(
        "INSERT INTO oltp.exchange_rates (currency, rate_date, usd_rate, created_at, load_id)"
        " SELECT currency, rate_date, usd_rate, rate_date + time '16:00' AT TIME ZONE 'UTC', %s FROM new_rates"
        " ON CONFLICT DO NOTHING",
        (load_id,),
    )
    session.execute("DROP TABLE new_rates")
    return added.rowcount


def _nano(currency: str, days: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Billionths of a dollar: the level, two slow waves and a little noise, all by integer arithmetic."""
    if currency == "USD":
        return np.full(len(days), _NANO, dtype=np.int64)
    number = int.from_bytes(currency.encode(), "big")
    waves = _wave(days, 181 + number % 97, 40_000, number) + _wave(days, 23 + number % 11, 6_000, number)
    mixed = days.astype(np.uint64) * _GOLDEN ^ np.uint64(number * 0x1_0000_01B3)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    noise = ((mixed >> np.uint64(33)) % np.uint64(4_001)).astype(np.int64) - 2_000
    nano: npt.NDArray[np.int64] = np.maximum(level(currency) * (_PARTS + waves + noise) // _PARTS, 1)
    return nano


def _wave(days: npt.NDArray[np.int64], period: int, height: int, phase: int) -> npt.NDArray[np.int64]:
    """A triangle between -height and +height."""
    place = (days + phase) % period
    return np.abs(2 * place - period) * 2 * height // period - height
