"""Contracts of the stores that the stream feeds: a payment's document with its states, and what is searched.

Belongs here: which fields of the processed event a store keeps, and why; its indexes. Does not: how an event becomes
an update or a document (documents/, search/), the event itself (streams.py).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset, Pii, pick
from payments_platform.contracts.streams import EVENT_COLUMNS, EVENT_POSITION

STORE_RETENTION: Final = timedelta(days=90)

# What the stores leave of a person, by class. PERSONAL stays out: an address and a device's identifier serve the fraud
# features, which read them in the lake, and a copy here would be one more to erase. Of two pseudonyms the token is
# kept: it is the one that every store shares, and the source's own customer_id leads to the person without a key.
# FREE_TEXT is what support reads and searches; card numbers in it were masked before, and erasure visits it.
_LEFT_OUT: Final = frozenset(
    {
        *(column.name for column in EVENT_COLUMNS if column.pii is Pii.PERSONAL),
        c.CUSTOMER_ID.name,
        # Compared with amount_minor by the batch and never used; how a row was loaded says nothing of the payment.
        "amount",
        c.LOAD_ID.name,
    }
)
KEPT: Final = tuple(column for column in EVENT_COLUMNS if column.name not in _LEFT_OUT)

# What the source never changes in a payment's life: all writers agree on it, whatever their order.
IMMUTABLE: Final = ("transaction_id", "created_at", "currency", "merchant_id", "customer_token")
# What changes with each version, in the order in which documents are compared: the position comes first and decides.
STATE: Final = (*EVENT_POSITION, *(it.name for it in KEPT if it.name not in {*IMMUTABLE, *EVENT_POSITION}))
# What the lifecycle shows of a state; the rest of it, texts and names, is shown as it is now alone.
LIFECYCLE: Final = (
    *EVENT_POSITION, "op", "status", "previous_status", "is_deleted", "amount_minor", "captured_minor",
    "refunded_minor", "updated_at", "committed_at",
)  # fmt: skip

_LIFECYCLE_COLUMNS: Final = pick(KEPT, " ".join(LIFECYCLE))
STATES: Final = Column(
    "states",
    pl.List(pl.Struct({column.name: column.dtype for column in _LIFECYCLE_COLUMNS})),
    "Every state the payment has had, by position: " + ", ".join(LIFECYCLE) + ".",
    (),
)

TRANSACTION_LOGS: Final = Dataset(
    key=("documents", "transaction_logs"),
    grain="One document per transaction: as it is now, and every state it has had.",
    domain="payments",
    columns=(*pick(KEPT, " ".join(IMMUTABLE)), *pick(KEPT, " ".join(STATE)), STATES),
    primary_key=("transaction_id",),
    retention=STORE_RETENTION,
    is_daily=False,
)
SEARCH_TRANSACTIONS: Final = Dataset(
    key=("search", "transactions"),
    grain="One document per transaction, as it is now, in the index of the UTC day of its created_at.",
    domain="payments",
    # The merchant's JSON has fields of its own for each merchant: nobody searches it, and it would be most of an index.
    columns=tuple(column for column in KEPT if column.name != "metadata"),
    primary_key=("transaction_id",),
    retention=STORE_RETENTION,
    is_daily=False,
)
# Where people type words; each has its exact value beside it. All other texts are codes and identifiers.
SEARCHED_TEXTS: Final = ("description", "merchant_name")


@dataclass(frozen=True)
class Index:
    """An index of a collection: fields by their path in the document, -1 for newest first, days to live or none."""

    fields: tuple[tuple[str, int], ...]
    expires_after: timedelta | None = None

    @property
    def name(self) -> str:
        """The same fields give the same name, so that making it again changes nothing."""
        return "_".join(f"{path.replace('.', '_')}_{'asc' if way == 1 else 'desc'}" for path, way in self.fields)


# By transaction is ``_id``, which every collection has.
TRANSACTION_LOG_INDEXES: Final = (
    Index((("merchant_id", 1), ("created_at", -1))),
    Index((("customer_token", 1), ("created_at", -1))),
    Index((("current.status", 1), ("current.updated_at", -1))),
    Index((("created_at", 1),), expires_after=STORE_RETENTION),
)

DATASETS: Final = (TRANSACTION_LOGS, SEARCH_TRANSACTIONS)
