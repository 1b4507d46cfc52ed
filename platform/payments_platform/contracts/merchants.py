"""Contracts of the merchants domain, from raw to curated.

Every good version is kept: a dimension with history reads it.
"""

from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column
from payments_platform.contracts.lake_zones import CapturedTable, curated_columns
from payments_platform.contracts.rules import (
    clock_skew,
    country_known,
    currency_known,
    matches,
    not_null,
    one_of,
    op_known,
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
MERCHANTS: Final = CapturedTable(
    "merchants",
    entity="a merchant",
    domain="merchants",
    columns=_COLUMNS,
    key="merchant_id",
    rules=(
        op_known(),
        not_null("R-merchant-present", "name", "mcc", "country_code", "currency", "status", "created_at"),
        matches("R-mcc-format", "mcc", r"^[0-9]{4}$", "mcc must be four digits").releasable(),
        country_known(),
        currency_known(),
        one_of("R-status-known", "status", MERCHANT_STATUSES),
        time_order(),
        clock_skew(),
    ),
    keeps_history=True,
).lake_zones(
    curated_columns(_COLUMNS, "merchant_id epoch version name mcc country_code currency status"),
    note="a delete included",
)
RAW_MERCHANTS, CLEAN_MERCHANTS, QUARANTINE_MERCHANTS, CURATED_MERCHANTS = MERCHANTS.datasets

DATASETS: Final = MERCHANTS.datasets
