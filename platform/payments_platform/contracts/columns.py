"""Columns that many datasets share, each described once.

Belongs here: identity, time, position and bookkeeping columns. Does not: columns of one domain (its file).
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import polars as pl

from payments_platform.contracts.dataset import Column, Pii

UTC_MICROS: Final = pl.Datetime("us", "UTC")
RATE: Final = pl.Decimal(18, 9)
SAMPLE_DAY: Final = date(2025, 1, 1)
_SAMPLE_AT = datetime(2025, 1, 1, 12, tzinfo=UTC)

EPOCH = Column(
    "epoch",
    pl.Int32(),
    "Life of the source database: raised by each failover or restore; first part of a row's position.",
    1,
)
VERSION = Column("version", pl.Int32(), "Row version kept by the source (1, 2, …); second part of a row's position.", 1)
OP = Column("op", pl.String(), "Change that made this version: c created, u updated, d deleted.", "c")
CREATED_AT = Column("created_at", UTC_MICROS, "When the entity was created at the source, UTC.", _SAMPLE_AT)
UPDATED_AT = Column("updated_at", UTC_MICROS, "When this version was written at the source, UTC.", _SAMPLE_AT)
LOAD_ID = Column(
    "load_id",
    pl.String(),
    "Bulk load that wrote the version; null for the application's own writes.",
    None,
    nullable=True,
)
IS_DELETED = Column("is_deleted", pl.Boolean(), "The version records a delete at the source.", False)
IS_RELEASED = Column(
    "is_released", pl.Boolean(), "A person accepted the row although it breaks rules about what is plausible.", False
)
REASONS = Column(
    "reasons", pl.String(), "Ids of the rules the row broke, in rule order, joined by commas.", "R-amount-sign"
)
PARTITION_DATE = Column("partition_date", pl.Date(), "UTC day whose partition the row was loaded from.", SAMPLE_DAY)
LOAD_SEQUENCE = Column(
    "load_sequence", pl.Int64(), "Number of the warehouse load that brought the row; grows by one a load.", 1
)

MERCHANT_ID = Column("merchant_id", pl.String(), "Identifier of the merchant paid.", "mer_sample")
CUSTOMER_ID = Column(
    "customer_id",
    pl.String(),
    "Identifier of the customer at the source; leaves the platform at curated.",
    "cus_sample",
    pii=Pii.PSEUDONYM,
)
CUSTOMER_TOKEN = Column(
    "customer_token",
    pl.String(),
    "Pseudonym of the customer: keyed hash minted once by the source, the same in every store.",
    "tok_" + "a" * 64,
    pii=Pii.PSEUDONYM,
)
PAYMENT_METHOD_ID = Column(
    "payment_method_id",
    pl.String(),
    "Identifier of the payment method used; null when unknown.",
    "pm_sample",
    nullable=True,
)
CURRENCY = Column("currency", pl.String(), "ISO 4217 alphabetic code.", "EUR")
PREVIOUS_STATUS = Column(
    "previous_status", pl.String(), "Status of the version before; null for the first.", None, nullable=True
)
AMOUNT_MINOR = Column("amount_minor", pl.Int64(), "Amount asked for, in the currency's minor unit.", 1250, unit="minor")
TRANSACTION_ID = Column("transaction_id", pl.String(), "Identifier given by the payment API.", "txn_sample")
DEVICE_TYPE = Column(
    "device_type", pl.String(), "Kind of device: mobile, tablet, desktop or terminal.", "mobile", nullable=True
)
OS_NAME = Column("os_name", pl.String(), "Operating system of the device, without its version.", "ios", nullable=True)
BROWSER_NAME = Column(
    "browser_name", pl.String(), "Browser or application on the device, without its version.", "safari", nullable=True
)

CREATED_DATE = Column("created_date", pl.Date(), "UTC day of created_at.", SAMPLE_DAY)
USD_RATE = Column(
    "usd_rate",
    RATE,
    "US dollars per major unit used; null when no rate was known.",
    Decimal("1.04"),
    nullable=True,
)
USD_RATE_DATE = Column(
    "usd_rate_date",
    pl.Date(),
    "Day of the rate used: the last one before the row's created_date.",
    SAMPLE_DAY,
    nullable=True,
)


def known(entity: str) -> Column:
    """The outcome of a reference check that the source made when it wrote the version."""
    text = f"The {entity.replace('_', ' ')} existed when the version was written; null when the row names none."
    return Column(f"is_{entity}_known", pl.Boolean(), text, True, nullable=True)


def in_usd(column: Column) -> Column:
    """The same amount in US cents."""
    return Column(
        column.name.replace("_minor", "_usd_minor"),
        pl.Int64(),
        f"{column.name} in US cents at usd_rate, half even.",
        round((column.example or 0) * 1.04),
        nullable=True,
        unit="minor",
    )


POSITION = ("epoch", "version")
