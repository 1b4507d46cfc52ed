"""Contracts of the customers domain, from raw to curated.

No name, address or e-mail: identities never leave the source.
"""

from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset, loosened, pick
from payments_platform.contracts.payments import (
    CLEAN_RETENTION,
    CURATED_RETENTION,
    CUSTOMER_PSEUDONYM_FORM,
    RAW_RETENTION,
)
from payments_platform.contracts.rules import CHANGE_OPS, country_known, matches, not_null, one_of, time_order

CUSTOMER_SEGMENTS: Final = ("consumer", "business", "vip")
CUSTOMER_STATUSES: Final = ("active", "blocked", "closed")

_COLUMNS: Final = (
    c.CUSTOMER_ID,
    c.EPOCH,
    c.VERSION,
    c.OP,
    c.CUSTOMER_TOKEN,
    Column("token_key_id", pl.String(), "Version of the key that minted the token.", "k1"),
    Column("country_code", pl.String(), "Country of residence, ISO 3166-1 alpha-2.", "FR", nullable=True),
    Column("segment", pl.String(), "Commercial segment.", "consumer"),
    Column("status", pl.String(), "active, blocked or closed.", "active"),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)
RAW_CUSTOMERS = Dataset(
    key=("raw", "customers"),
    grain="One row per version of a customer written at the source on the day.",
    domain="customers",
    columns=loosened(_COLUMNS, keep="customer_id epoch version op updated_at"),
    primary_key=("customer_id", "version"),
    retention=RAW_RETENTION,
)
CLEAN_CUSTOMERS = Dataset(
    key=("clean", "customers"),
    grain="One row per good version of a customer written on the day.",
    domain="customers",
    columns=_COLUMNS,
    primary_key=("customer_id", "version"),
    rules=(
        one_of("R-op-known", "op", CHANGE_OPS),
        not_null("R-customer-present", "customer_token", "token_key_id", "segment", "status", "created_at"),
        matches(
            "R-token-format",
            "customer_token",
            CUSTOMER_PSEUDONYM_FORM,
            "customer_token must be tok_ and 64 hexadecimal digits",
        ),
        country_known(),
        one_of("R-segment-known", "segment", CUSTOMER_SEGMENTS),
        one_of("R-status-known", "status", CUSTOMER_STATUSES),
        time_order(),
    ),
    retention=CLEAN_RETENTION,
    keeps_history=True,
)
QUARANTINE_CUSTOMERS = Dataset(
    key=("quarantine", "customers"),
    grain="One row per version of a customer that broke a rule on the day.",
    domain="customers",
    columns=(*RAW_CUSTOMERS.columns, c.REASONS),
    primary_key=("customer_id", "version"),
    retention=RAW_RETENTION,
)
CURATED_CUSTOMERS = Dataset(
    key=("curated", "customers"),
    grain="One row per good version of a customer written on the day, known by the token alone.",
    domain="customers",
    columns=(
        *pick(_COLUMNS, "customer_token epoch version country_code segment status"),
        c.IS_DELETED,
        c.CREATED_AT,
        c.UPDATED_AT,
    ),
    primary_key=("customer_token", "version"),
    retention=CURATED_RETENTION,
    keeps_history=True,
)

DATASETS: Final = (RAW_CUSTOMERS, CLEAN_CUSTOMERS, QUARANTINE_CUSTOMERS, CURATED_CUSTOMERS)
