"""Contracts of the warehouse's landing tables: the curated datasets plus the load they came with."""

from dataclasses import replace
from typing import Final

from payments_platform.contracts import columns as c
from payments_platform.contracts.consents import CONSENTS
from payments_platform.contracts.customers import CURATED_CUSTOMERS
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.devices import DEVICES
from payments_platform.contracts.merchants import CURATED_MERCHANTS
from payments_platform.contracts.payments import CURATED_PAYMENT_METHODS, CURATED_TRANSACTIONS
from payments_platform.contracts.reversals import DISPUTES, REFUNDS
from payments_platform.contracts.subscriptions import SUBSCRIPTIONS


def landing_of(curated: Dataset) -> Dataset:
    """The landing table of a curated dataset: the same rows with their day and load sequence."""
    return replace(
        curated,
        key=("landing", curated.table),
        grain=f"{curated.grain.rstrip('.')}, as loaded into the warehouse.",
        columns=(*curated.columns, c.PARTITION_DATE, c.LOAD_SEQUENCE),
        primary_key=("partition_date", *curated.primary_key),
    )


LANDING_TRANSACTIONS = landing_of(CURATED_TRANSACTIONS)
LANDING_PAYMENT_METHODS = landing_of(CURATED_PAYMENT_METHODS)
LANDING_MERCHANTS = landing_of(CURATED_MERCHANTS)
LANDING_CUSTOMERS = landing_of(CURATED_CUSTOMERS)

LANDING_DEVICES = landing_of(DEVICES.curated)
LANDING_REFUNDS = landing_of(REFUNDS.curated)
LANDING_DISPUTES = landing_of(DISPUTES.curated)
LANDING_SUBSCRIPTIONS = landing_of(SUBSCRIPTIONS.curated)
LANDING_CONSENTS = landing_of(CONSENTS.curated)

DATASETS: Final = (
    LANDING_TRANSACTIONS,
    LANDING_PAYMENT_METHODS,
    LANDING_MERCHANTS,
    LANDING_CUSTOMERS,
    LANDING_DEVICES,
    LANDING_REFUNDS,
    LANDING_DISPUTES,
    LANDING_SUBSCRIPTIONS,
    LANDING_CONSENTS,
)
