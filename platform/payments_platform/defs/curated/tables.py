"""Curated: each clean day conformed and pseudonymous, in US dollars too where it holds money.

One factory: the contract is the difference.
"""

from datetime import date

import dagster as dg
import polars as pl

from payments_platform.batch.conform import conform, missing_usd, needs_rates
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.reference import CLEAN_EXCHANGE_RATES
from payments_platform.defs._platform.lake_assets import DayOutputs, day_by_day, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks


def _curated(curated: Dataset) -> dg.AssetsDefinition:
    reads = {"clean": dataset(f"clean/{curated.table}")}
    if needs_rates(curated):
        reads["rates"] = CLEAN_EXCHANGE_RATES

    @lake_assets(curated, name=f"curated_{curated.table}", reads=reads)
    @day_by_day
    def tables(day: date, clean: pl.LazyFrame, rates: pl.LazyFrame | None = None) -> DayOutputs:
        conformed = conform(clean, curated, day, rates)
        return DayOutputs((conformed,), counts=None if rates is None else missing_usd(conformed))

    return tables


curated_tables = [_curated(curated) for curated in of_zone("curated")]
curated_checks = [lake_checks(follows_contract(curated)) for curated in of_zone("curated")]
