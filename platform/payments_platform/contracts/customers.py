"""Contracts of the customers domain, from raw to curated.

No name, address or e-mail: identities never leave the source.
"""

from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column
from payments_platform.contracts.lake_zones import CapturedTable, curated_columns
from payments_platform.contracts.rules import (
    clock_skew,
    country_known,
    not_null,
    one_of,
    op_known,
    time_order,
    token_form,
)

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
CUSTOMERS: Final = CapturedTable(
    "customers",
    entity="a customer",
    domain="customers",
    columns=_COLUMNS,
    key="customer_id",
    fixed="customer_token token_key_id",
    rules=(
        op_known(),
        not_null("R-customer-present", "customer_token", "token_key_id", "segment", "status", "created_at"),
        token_form("customer_token", "tok"),
        country_known(),
        one_of("R-segment-known", "segment", CUSTOMER_SEGMENTS),
        one_of("R-status-known", "status", CUSTOMER_STATUSES),
        time_order(),
        clock_skew(),
    ),
    keeps_history=True,
).lake_zones(
    curated_columns(_COLUMNS, "customer_token epoch version country_code segment status"),
    curated_key="customer_token",
    note="known by the token alone",
)
RAW_CUSTOMERS, CLEAN_CUSTOMERS, QUARANTINE_CUSTOMERS, CURATED_CUSTOMERS = CUSTOMERS.datasets

DATASETS: Final = CUSTOMERS.datasets
