"""Contracts of the merchants domain, from raw to curated.

Every good version is kept: a dimension with history reads it.
"""

from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset, loosened, pick
from payments_platform.contracts.payments import CLEAN_RETENTION, CURATED_RETENTION, RAW_RETENTION
from payments_platform.contracts.rules import (
    CHANGE_OPS,
    country_known,
    currency_known,
    matches,
    not_null,
    one_of,
    time_order,
)

MERCHANT_STATUSES: Final = ("active", "suspended", "closed")

_COLUMNS: Final = (
    c.MERCHANT_ID,
    c.EPOCH,
    c.VERSION,
    c.OP,
    Column("name", pl.String(), "Trading name of the merchant.", "Sample Shop"),
    Column("mcc", pl.String(), "Merchant category code, ISO 18245: four digits.", "5411"),
    Column("country_code", pl.String(), "Country of the merchant, ISO 3166-1 alpha-2.", "FR"),
    Column("currency", pl.String(), "Settlement currency, ISO 4217.", "EUR"),
    Column("status", pl.String(), "active, suspended or closed.", "active"),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)
RAW_MERCHANTS = Dataset(
    key=("raw", "merchants"),
    grain="One row per version of a merchant written at the source on the day.",
    domain="merchants",
    columns=loosened(_COLUMNS, keep="merchant_id epoch version op updated_at"),
    primary_key=("merchant_id", "version"),
    retention=RAW_RETENTION,
)
CLEAN_MERCHANTS = Dataset(
    key=("clean", "merchants"),
    grain="One row per good version of a merchant written on the day.",
    domain="merchants",
    columns=_COLUMNS,
    primary_key=("merchant_id", "version"),
    rules=(
        one_of("R-op-known", "op", CHANGE_OPS),
        not_null("R-merchant-present", "name", "mcc", "country_code", "currency", "status", "created_at"),
        matches("R-mcc-format", "mcc", r"^[0-9]{4}$", "mcc must be four digits"),
        country_known(),
        currency_known(),
        one_of("R-status-known", "status", MERCHANT_STATUSES),
        time_order(),
    ),
    retention=CLEAN_RETENTION,
    keeps_history=True,
)
QUARANTINE_MERCHANTS = Dataset(
    key=("quarantine", "merchants"),
    grain="One row per version of a merchant that broke a rule on the day.",
    domain="merchants",
    columns=(*RAW_MERCHANTS.columns, c.REASONS),
    primary_key=("merchant_id", "version"),
    retention=RAW_RETENTION,
)
CURATED_MERCHANTS = Dataset(
    key=("curated", "merchants"),
    grain="One row per good version of a merchant written on the day.",
    domain="merchants",
    columns=(
        *pick(_COLUMNS, "merchant_id epoch version name mcc country_code currency status"),
        c.IS_DELETED,
        c.CREATED_AT,
        c.UPDATED_AT,
    ),
    primary_key=("merchant_id", "version"),
    retention=CURATED_RETENTION,
    keeps_history=True,
)

DATASETS: Final = (RAW_MERCHANTS, CLEAN_MERCHANTS, QUARANTINE_MERCHANTS, CURATED_MERCHANTS)
