"""Contracts of what lies between landing and the star schema: staging views, and the keys that facts name.

Belongs here: the staging twin of each landing table, the record of removed keys, references. Does not: the star schema
(dimensions.py, facts.py), its aggregates, SQL (dbt/models).
"""

from dataclasses import replace
from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts import landing as landed
from payments_platform.contracts.dataset import Column, Dataset


def _staging_of(landing: Dataset) -> Dataset:
    return replace(
        landing,
        key=("staging", f"stg_{landing.table}"),
        grain=f"{landing.grain.split(',')[0].rstrip('.')}, one per day it was landed in.",
        is_daily=False,
        keeps_history=False,
        retention=None,
    )


STAGED: Final = tuple(_staging_of(landing) for landing in landed.DATASETS)
STG_REMOVED_KEYS: Final = Dataset(
    key=("staging", "stg_removed_keys"),
    grain="One row per key that a later load of its day no longer had.",
    domain="platform",
    columns=(
        Column("dataset", pl.String(), "Landing table the key vanished from.", "transactions"),
        Column("removed_key", pl.String(), "Identifier that vanished from the day.", "txn_gone"),
        Column("created_date", pl.Date(), "UTC day the entity was created on.", c.SAMPLE_DAY),
        c.LOAD_SEQUENCE,
    ),
    primary_key=("dataset", "removed_key", "created_date", "load_sequence"),
    is_daily=False,
)


def _references(entity: str, column: Column, landing: Dataset, named_by: str) -> Dataset:
    return Dataset(
        key=("intermediate", f"int_{entity}_references"),
        grain=f"One row per {entity.replace('_', ' ')} that a landed {named_by} names.",
        domain=landing.domain,
        columns=(replace(column, nullable=False),),
        primary_key=(column.name,),
        is_daily=False,
    )


INT_MERCHANT_REFERENCES = _references(
    "merchant", c.MERCHANT_ID, landed.LANDING_MERCHANTS, "payment, refund, dispute or subscription"
)
INT_CUSTOMER_REFERENCES = _references(
    "customer", c.CUSTOMER_TOKEN, landed.LANDING_CUSTOMERS, "payment, subscription or consent"
)
INT_PAYMENT_METHOD_REFERENCES = _references(
    "payment_method", c.PAYMENT_METHOD_ID, landed.LANDING_PAYMENT_METHODS, "payment"
)

DATASETS: Final = (
    *STAGED,
    STG_REMOVED_KEYS,
    INT_MERCHANT_REFERENCES,
    INT_CUSTOMER_REFERENCES,
    INT_PAYMENT_METHOD_REFERENCES,
)
