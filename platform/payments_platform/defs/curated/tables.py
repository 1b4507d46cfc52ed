"""Curated dimensions: merchants, customers and payment methods, pseudonymous.

One factory: the contract is the difference.
"""

from collections.abc import Callable
from datetime import date
from typing import Final

import dagster as dg
import polars as pl

from payments_platform.batch.conform import curated_customers, curated_merchants, curated_payment_methods
from payments_platform.contracts.catalogue import dataset
from payments_platform.defs._platform.lake_assets import DayOutputs, day_by_day, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks

_CONFORM: Final[dict[str, Callable[[pl.LazyFrame], pl.LazyFrame]]] = {
    "merchants": curated_merchants,
    "customers": curated_customers,
    "payment_methods": curated_payment_methods,
}


def _curated(table: str) -> dg.AssetsDefinition:
    @lake_assets(dataset(f"curated/{table}"), name=f"curated_{table}", reads={"clean": dataset(f"clean/{table}")})
    @day_by_day
    def conform(_: date, clean: pl.LazyFrame) -> DayOutputs:
        return DayOutputs((_CONFORM[table](clean),))

    return conform


curated_tables = [_curated(table) for table in _CONFORM]
curated_checks = [lake_checks(follows_contract(dataset(f"curated/{table}"))) for table in _CONFORM]
