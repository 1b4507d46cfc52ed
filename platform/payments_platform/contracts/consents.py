"""Contracts of what customers allow and forbid, from raw to curated.

Every good version is kept: what was allowed when is what has to be proved later (GDPR art. 7), and a withdrawn
``data_sale`` is the opt-out of the CCPA.
"""

from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column
from payments_platform.contracts.lake_zones import CapturedTable, curated_columns
from payments_platform.contracts.rules import clock_skew, not_null, one_of, op_known, time_order, token_form

CONSENT_PURPOSES: Final = ("marketing", "analytics", "profiling", "data_sale")
CONSENT_CHANNELS: Final = ("web", "app", "support", "import")

_COLUMNS: Final = (
    Column("consent_id", pl.String(), "Identifier of the customer's decision about one purpose.", "cns_sample"),
    c.EPOCH,
    c.VERSION,
    c.OP,
    c.CUSTOMER_ID,
    c.CUSTOMER_TOKEN,
    Column("purpose", pl.String(), "What the data may be used for.", "marketing"),
    Column("is_granted", pl.Boolean(), "The customer allows it.", True),
    Column("channel", pl.String(), "Where the customer decided.", "web"),
    c.known("customer"),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)

CONSENTS: Final = CapturedTable(
    "consents",
    entity="a consent",
    domain="customers",
    columns=_COLUMNS,
    key="consent_id",
    fixed="customer_id customer_token",
    rules=(
        op_known(),
        not_null("R-reference-present", "customer_id", "customer_token", "created_at").of_deletes(),
        token_form("customer_token", "tok"),
        not_null("R-consent-present", "purpose", "is_granted", "channel"),
        one_of("R-purpose-known", "purpose", CONSENT_PURPOSES),
        one_of("R-channel-known", "channel", CONSENT_CHANNELS),
        time_order(),
        clock_skew(),
    ),
    keeps_history=True,
).lake_zones(
    curated_columns(_COLUMNS, "consent_id epoch version customer_token purpose is_granted channel"),
    note="known by the token alone",
)

DATASETS: Final = CONSENTS.datasets
