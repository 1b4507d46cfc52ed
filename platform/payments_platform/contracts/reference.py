"""Contracts of reference data: exchange rates, a dated series that only grows."""

from datetime import date
from decimal import Decimal
from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset, Rule, Severity, loosened
from payments_platform.contracts.lake_zones import CLEAN_RETENTION, RAW_RETENTION
from payments_platform.contracts.rules import currency_known, not_null

# How far back a partition's series reaches: as long as the source keeps history, so a late refund finds its rate.
RATE_SERIES_DAYS: Final = 400

_COLUMNS: Final = (
    c.CURRENCY,
    Column("rate_date", pl.Date(), "Day the rate was fixed.", date(2024, 12, 31)),
    Column("usd_rate", c.RATE, "US dollars per one major unit of the currency.", Decimal("1.04")),
    c.LOAD_ID,
)
RAW_EXCHANGE_RATES = Dataset(
    key=("raw", "exchange_rates"),
    grain=f"One row per currency and rate date, for the {RATE_SERIES_DAYS} days up to the partition's day.",
    domain="reference",
    columns=loosened(_COLUMNS, keep="currency rate_date"),
    primary_key=("currency", "rate_date"),
    retention=RAW_RETENTION,
)
CLEAN_EXCHANGE_RATES = Dataset(
    key=("clean", "exchange_rates"),
    grain=RAW_EXCHANGE_RATES.grain,
    domain="reference",
    columns=_COLUMNS,
    primary_key=("currency", "rate_date"),
    rules=(
        currency_known(),
        not_null("R-rate-present", "usd_rate"),
        Rule("R-rate-positive", Severity.ROW, "usd_rate must be positive", nw.col("usd_rate") > 0),
    ),
    retention=CLEAN_RETENTION,
    keeps_history=True,
)
QUARANTINE_EXCHANGE_RATES = Dataset(
    key=("quarantine", "exchange_rates"),
    grain="One row per exchange rate of the series that broke a rule.",
    domain="reference",
    columns=(*RAW_EXCHANGE_RATES.columns, c.REASONS),
    primary_key=("currency", "rate_date"),
    retention=RAW_RETENTION,
)

DATASETS: Final = (RAW_EXCHANGE_RATES, CLEAN_EXCHANGE_RATES, QUARANTINE_EXCHANGE_RATES)
