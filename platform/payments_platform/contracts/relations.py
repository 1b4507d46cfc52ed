"""What holds between the tables of the star schema, and in the columns of each: the source of dbt's generic tests.

Belongs here: which key leads where, closed lists, natural keys, published groups. Does not: columns (dimensions.py,
facts.py, aggregates.py), YAML (dbt_schema.py).
"""

from typing import Final

from payments_platform.contracts.aggregates import CUSTOMER_SEGMENT_DAILY, PUBLISHED_SEGMENTS, SMALLEST_GROUP
from payments_platform.contracts.consents import CONSENT_PURPOSES
from payments_platform.contracts.customers import CUSTOMER_SEGMENTS, CUSTOMER_STATUSES
from payments_platform.contracts.devices import DEVICE_TYPES
from payments_platform.contracts.facts import DATASETS as FACTS
from payments_platform.contracts.facts import DECISIONS, RISK_LEVELS
from payments_platform.contracts.merchants import MERCHANT_STATUSES
from payments_platform.contracts.payments import METHOD_TYPES, STATUSES
from payments_platform.contracts.reversals import DISPUTE_TRANSITIONS, REFUND_TRANSITIONS
from payments_platform.contracts.subscriptions import BILLING_INTERVALS, SUBSCRIPTION_TRANSITIONS

_KEYS: Final = {
    "date_key": "dim_date",
    "time_key": "dim_time",
    "merchant_key": "dim_merchant",
    "customer_key": "dim_customer",
    "payment_method_key": "dim_payment_method",
    "geography_key": "dim_geography",
    "device_key": "dim_device",
}


def _dimension_key(column: str) -> str | None:
    """The dimension's key that a fact's column holds: ``created_date_key`` holds a ``date_key``."""
    return next((key for key in _KEYS if column == key or column.endswith(f"_{key}")), None)


# (fact, column) → (dimension, key) that must hold its value; the unknown member answers for missing references.
RELATIONS: Final[dict[tuple[str, str], tuple[str, str]]] = {
    (fact.table, column.name): (_KEYS[key], key)
    for fact in FACTS
    for column in fact.columns
    if (key := _dimension_key(column.name))
}
# Model and column → the closed list its values come from.
CLOSED_LISTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("dim_merchant", "status"): MERCHANT_STATUSES,
    ("dim_customer", "segment"): CUSTOMER_SEGMENTS,
    ("dim_customer", "status"): CUSTOMER_STATUSES,
    ("customer_consent", "purpose"): CONSENT_PURPOSES,
    ("dim_payment_method", "method_type"): METHOD_TYPES,
    ("dim_device", "device_type"): DEVICE_TYPES,
    ("fact_transaction", "status"): STATUSES,
    ("fact_refund", "status"): tuple(REFUND_TRANSITIONS),
    ("fact_dispute", "status"): tuple(DISPUTE_TRANSITIONS),
    ("fact_subscription", "status"): tuple(SUBSCRIPTION_TRANSITIONS),
    ("fact_subscription", "billing_interval"): BILLING_INTERVALS,
    ("fact_fraud_detection", "decision"): DECISIONS,
    ("fact_fraud_detection", "risk_level"): RISK_LEVELS,
    ("customer_segment_daily", "segment"): PUBLISHED_SEGMENTS,
}
# Slowly changing dimensions → their natural key.
VERSIONED: Final[dict[str, str]] = {"dim_merchant": "merchant_id", "dim_customer": "customer_token"}
# Published tables about people → the column that counts them, and the fewest that a group may have.
PUBLISHED: Final[dict[str, tuple[str, int]]] = {CUSTOMER_SEGMENT_DAILY.table: ("customer_count", SMALLEST_GROUP)}
# Facts that others must agree with, as a warning → the test, and the model that each of its arguments names.
RECONCILED: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "fact_transaction": ("money_back_agrees", {"refunds": "fact_refund", "disputes": "fact_dispute"}),
}
