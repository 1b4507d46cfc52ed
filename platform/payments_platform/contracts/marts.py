"""Contracts of what dbt builds: staging views, references, the star schema and its aggregates.

Belongs here: columns, keys, rules and relations of each model. Does not: SQL (dbt/models), the YAML made from these
contracts (dbt_schema.py).
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.customers import CUSTOMER_SEGMENTS, CUSTOMER_STATUSES
from payments_platform.contracts.dataset import Column, Dataset, Rule, Severity, firm, pick
from payments_platform.contracts.landing import (
    LANDING_CUSTOMERS,
    LANDING_MERCHANTS,
    LANDING_PAYMENT_METHODS,
    LANDING_TRANSACTIONS,
)
from payments_platform.contracts.merchants import MERCHANT_STATUSES
from payments_platform.contracts.payments import CARD_BRANDS, METHOD_TYPES, STATUSES
from payments_platform.contracts.rules import one_of

FIRST_MOMENT: Final = datetime(1, 1, 1, tzinfo=UTC)
LAST_MOMENT: Final = datetime(9999, 12, 31, tzinfo=UTC)

_SEQUENCE = replace(
    c.LOAD_SEQUENCE, description="Highest load that brought or removed a row of this key; 0 when none did."
)
_INTERVAL: Final = (
    Column("effective_from", c.UTC_MICROS, "First moment of the version; 0001-01-01 for the first.", FIRST_MOMENT),
    Column(
        "effective_to", c.UTC_MICROS, "First moment after the version; 9999-12-31 for the current one.", LAST_MOMENT
    ),
    Column("is_current", pl.Boolean(), "The last version known.", True),
)
_MEMBER: Final = (
    Column("is_deleted", pl.Boolean(), "The source deleted the entity with this version.", False),
    Column("is_inferred", pl.Boolean(), "Named by a payment while no change of it has been seen.", False),
    _SEQUENCE,
)


def _key(name: str, entity: str) -> Column:
    return Column(name, pl.Int64(), f"Key of the {entity}: hash of its identifier and effective_from; -1 unknown.", 1)


def _from(landing: Dataset, names: str) -> tuple[Column, ...]:
    """Attributes of a dimension, null for unknown and inferred members."""
    return tuple(column.loose() for column in pick(landing.columns, names))


def _staging_of(landing: Dataset) -> Dataset:
    return replace(
        landing,
        key=("staging", f"stg_{landing.table}"),
        grain=f"{landing.grain.split(',')[0].rstrip('.')}, one per day it was landed in.",
        is_daily=False,
        keeps_history=False,
        retention=None,
    )


STG_TRANSACTIONS, STG_PAYMENT_METHODS, STG_MERCHANTS, STG_CUSTOMERS = (
    _staging_of(landing)
    for landing in (LANDING_TRANSACTIONS, LANDING_PAYMENT_METHODS, LANDING_MERCHANTS, LANDING_CUSTOMERS)
)
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


def _references(entity: str, column: Column, landing: Dataset) -> Dataset:
    return Dataset(
        key=("intermediate", f"int_{entity}_references"),
        grain=f"One row per {entity.replace('_', ' ')} that a landed payment names.",
        domain=landing.domain,
        columns=(replace(column, nullable=False),),
        primary_key=(column.name,),
        is_daily=False,
    )


INT_MERCHANT_REFERENCES = _references("merchant", c.MERCHANT_ID, LANDING_MERCHANTS)
INT_CUSTOMER_REFERENCES = _references("customer", c.CUSTOMER_TOKEN, LANDING_CUSTOMERS)
INT_PAYMENT_METHOD_REFERENCES = _references("payment_method", c.PAYMENT_METHOD_ID, LANDING_PAYMENT_METHODS)

_INTERVAL_ORDER = Rule(
    "R-interval-order",
    Severity.PARTITION,
    "effective_from must be before effective_to",
    nw.col("effective_from") < nw.col("effective_to"),
)
DIM_MERCHANT: Final = Dataset(
    key=("marts", "dim_merchant"),
    grain="One row per version of a merchant, plus inferred members and the unknown one (-1).",
    domain="merchants",
    columns=(
        _key("merchant_key", "version of a merchant"),
        *_from(LANDING_MERCHANTS, "merchant_id epoch version name mcc country_code currency status created_at"),
        *_INTERVAL,
        *_MEMBER,
    ),
    primary_key=("merchant_key",),
    rules=(one_of("R-status-known", "status", MERCHANT_STATUSES), _INTERVAL_ORDER),
    is_daily=False,
)
DIM_CUSTOMER: Final = Dataset(
    key=("marts", "dim_customer"),
    grain="One row per version of a customer, plus inferred members and the unknown one (-1).",
    domain="customers",
    columns=(
        _key("customer_key", "version of a customer"),
        *_from(LANDING_CUSTOMERS, "customer_token epoch version country_code segment status created_at"),
        *_INTERVAL,
        *_MEMBER,
    ),
    primary_key=("customer_key",),
    rules=(
        one_of("R-segment-known", "segment", CUSTOMER_SEGMENTS),
        one_of("R-status-known", "status", CUSTOMER_STATUSES),
        _INTERVAL_ORDER,
    ),
    is_daily=False,
)
DIM_PAYMENT_METHOD: Final = Dataset(
    key=("marts", "dim_payment_method"),
    grain="One row per payment method in its last state, plus inferred members and the unknown one (-1).",
    domain="payments",
    columns=(
        Column("payment_method_key", pl.Int64(), "Key of the payment method: hash of its identifier; -1 unknown.", 1),
        *_from(
            LANDING_PAYMENT_METHODS,
            "payment_method_id epoch version method_type card_brand card_funding issuer_country_code"
            " created_at updated_at",
        ),
        *_MEMBER,
    ),
    primary_key=("payment_method_key",),
    rules=(
        one_of("R-method-known", "method_type", METHOD_TYPES),
        one_of("R-brand-known", "card_brand", CARD_BRANDS),
    ),
    is_daily=False,
)


def _calendar(name: str, description: str, example: int) -> Column:
    return Column(name, pl.Int32(), description, example, nullable=True)


DIM_DATE: Final = Dataset(
    key=("marts", "dim_date"),
    grain="One row per UTC day from 2015 to 2035, plus the unknown one (-1).",
    domain="reference",
    columns=(
        Column("date_key", pl.Int32(), "The day as the number YYYYMMDD; -1 unknown.", 20250101),
        Column("calendar_date", pl.Date(), "The day.", date(2025, 1, 1), nullable=True),
        _calendar("year_number", "Year.", 2025),
        _calendar("quarter_number", "Quarter of the year, 1 to 4.", 1),
        _calendar("month_number", "Month of the year, 1 to 12.", 1),
        _calendar("day_of_month", "Day of the month, 1 to 31.", 1),
        _calendar("day_of_year", "Day of the year, 1 to 366.", 1),
        _calendar("day_of_week", "ISO day of the week: 1 Monday to 7 Sunday.", 3),
        _calendar("iso_year_number", "ISO 8601 year, to which the ISO week belongs.", 2025),
        _calendar("iso_week_number", "ISO 8601 week, 1 to 53.", 1),
        Column("is_weekend", pl.Boolean(), "Saturday or Sunday.", False, nullable=True),
    ),
    primary_key=("date_key",),
    is_daily=False,
)
FACT_TRANSACTION: Final = Dataset(
    key=("marts", "fact_transaction"),
    grain="One row per transaction in its last known state.",
    domain="payments",
    columns=(
        *pick(LANDING_TRANSACTIONS.columns, "transaction_id"),
        Column("created_date_key", pl.Int32(), "UTC day of created_at, key of dim_date.", 20250101),
        _key("merchant_key", "merchant's version valid at created_at"),
        _key("customer_key", "customer's version valid at created_at"),
        Column("payment_method_key", pl.Int64(), "Key of the payment method; -1 when the payment names none.", 1),
        *firm(
            pick(
                LANDING_TRANSACTIONS.columns,
                "merchant_id customer_token payment_method_id epoch version status currency"
                " amount_minor captured_minor refunded_minor amount_usd_minor captured_usd_minor refunded_usd_minor"
                " usd_rate usd_rate_date country_code ip_network"
                " is_device_present is_customer_known is_merchant_known is_payment_method_known is_deleted"
                " created_at created_date updated_at",
            ),
            # A delete that brings no values takes those of the last version that has them.
            "status currency amount_minor captured_minor refunded_minor",
        ),
        _SEQUENCE,
    ),
    primary_key=("transaction_id",),
    rules=(one_of("R-status-known", "status", STATUSES),),
    sums=("amount_minor", "currency"),
    is_daily=False,
)


def _count(name: str, description: str) -> Column:
    return Column(name, pl.Int64(), description, 1, unit="rows")


def _usd(name: str, description: str) -> Column:
    return Column(name, pl.Int64(), description, 1300, unit="minor")


MERCHANT_DAILY: Final = Dataset(
    key=("aggregates", "merchant_daily"),
    grain="One row per merchant and UTC day on which a payment to it was created. Holds no person: merchants are"
    " businesses, so a group may be as small as one payment.",
    domain="merchants",
    columns=(
        c.MERCHANT_ID,
        Column("created_date", pl.Date(), "UTC day the payments were created on.", c.SAMPLE_DAY),
        _count("transaction_count", "Payments that were not deleted."),
        _count("succeeded_count", "Payments whose money came: succeeded, refunded in part or whole, or disputed."),
        _count("failed_count", "Payments that failed."),
        _count("open_count", "Payments pending or processing."),
        _count("refunded_count", "Payments refunded in part or whole."),
        _count("disputed_count", "Payments in dispute."),
        _count("deleted_count", "Payments deleted at the source; in no other count or sum."),
        _count("unrated_count", "Payments without a US dollar rate; in no sum."),
        _usd("gross_usd_minor", "Amounts asked for, in US cents."),
        _usd("captured_usd_minor", "Amounts captured, in US cents."),
        _usd("refunded_usd_minor", "Amounts refunded, in US cents."),
        _usd("net_usd_minor", "Captured less refunded, in US cents."),
        _SEQUENCE,
    ),
    primary_key=("merchant_id", "created_date"),
    is_daily=False,
)

# (model, column) → (model, column) that must hold its value; the unknown member answers for missing references.
RELATIONS: Final[dict[tuple[str, str], tuple[str, str]]] = {
    ("fact_transaction", "created_date_key"): ("dim_date", "date_key"),
    ("fact_transaction", "merchant_key"): ("dim_merchant", "merchant_key"),
    ("fact_transaction", "customer_key"): ("dim_customer", "customer_key"),
    ("fact_transaction", "payment_method_key"): ("dim_payment_method", "payment_method_key"),
}
# Model and column → the closed list its values come from.
CLOSED_LISTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("dim_merchant", "status"): MERCHANT_STATUSES,
    ("dim_customer", "segment"): CUSTOMER_SEGMENTS,
    ("dim_customer", "status"): CUSTOMER_STATUSES,
    ("dim_payment_method", "method_type"): METHOD_TYPES,
    ("fact_transaction", "status"): STATUSES,
}
# Slowly changing dimensions → their natural key.
VERSIONED: Final[dict[str, str]] = {"dim_merchant": "merchant_id", "dim_customer": "customer_token"}

DATASETS: Final = (
    STG_TRANSACTIONS,
    STG_PAYMENT_METHODS,
    STG_MERCHANTS,
    STG_CUSTOMERS,
    STG_REMOVED_KEYS,
    INT_MERCHANT_REFERENCES,
    INT_CUSTOMER_REFERENCES,
    INT_PAYMENT_METHOD_REFERENCES,
    DIM_DATE,
    DIM_MERCHANT,
    DIM_CUSTOMER,
    DIM_PAYMENT_METHOD,
    FACT_TRANSACTION,
    MERCHANT_DAILY,
)
