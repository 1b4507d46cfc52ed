"""Curated transactions: pseudonymous, and in US dollars at the last rate of the day before the payment."""

from datetime import date

import polars as pl

from payments_platform.batch.conform import curated_transactions, missing_usd
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, CURATED_TRANSACTIONS
from payments_platform.contracts.reference import CLEAN_EXCHANGE_RATES
from payments_platform.defs._platform.lake_assets import DayOutputs, day_by_day, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks


@lake_assets(
    CURATED_TRANSACTIONS,
    name="curated_transactions",
    reads={"clean": CLEAN_TRANSACTIONS, "rates": CLEAN_EXCHANGE_RATES},
)
@day_by_day
def transactions(day: date, clean: pl.LazyFrame, rates: pl.LazyFrame) -> DayOutputs:
    """Conform the day's transactions; count those without a rate."""
    curated = curated_transactions(clean, rates, day)
    return DayOutputs((curated,), counts=missing_usd(curated))


transactions_checks = lake_checks(follows_contract(CURATED_TRANSACTIONS))
