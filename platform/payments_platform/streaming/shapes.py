"""The captured tables that the processor reads: which columns, from their contracts.

Belongs here: what is read of payments, customers and merchants. Does not: how (envelope.py).
"""

from typing import Final

import polars as pl

from payments_platform.contracts.customers import RAW_CUSTOMERS
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.merchants import RAW_MERCHANTS
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.streams import EVENT_SCHEMA
from payments_platform.streaming.capture.connector import EXCLUDED_COLUMNS
from payments_platform.streaming.envelope import Shape

# What the envelope and not the row says.
_OF_THE_CHANGE: Final = frozenset({"epoch", "op", "previous_status"})


def _shape(table: str, key: str, dataset: Dataset, *, only: frozenset[str] | None = None, previous: str = "") -> Shape:
    columns = {
        column.name: column.dtype
        for column in dataset.columns
        if column.name not in _OF_THE_CHANGE
        and f"{table}.{column.name}" not in EXCLUDED_COLUMNS
        and (only is None or column.name in only)
    }
    required = tuple(column.name for column in dataset.columns if column.name in columns and not column.nullable)
    return Shape(table, key, pl.Schema(columns), required, ("version", *previous.split()))


TRANSACTIONS: Final = _shape(
    "transactions", "transaction_id", RAW_TRANSACTIONS, only=frozenset(EVENT_SCHEMA), previous="status"
)
CUSTOMERS: Final = _shape("customers", "customer_id", RAW_CUSTOMERS)
MERCHANTS: Final = _shape("merchants", "merchant_id", RAW_MERCHANTS)
