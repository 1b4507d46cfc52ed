"""Clean and quarantine: each day split by the rules of its contract. One factory: the rules are the only difference."""

from datetime import date

import dagster as dg
import polars as pl

from payments_platform.batch.validate import day_problems, split_day
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.lake_assets import DayOutputs, day_by_day, lake_assets
from payments_platform.defs._platform.lake_checks import LakeCheck, follows_contract, lake_checks
from payments_platform.lake.partitions import Lake


def _clean(clean: Dataset) -> dg.AssetsDefinition:
    raw, quarantine = dataset(f"raw/{clean.table}"), dataset(f"quarantine/{clean.table}")

    @lake_assets(clean, quarantine, name=f"clean_{clean.table}", reads={"versions": raw})
    @day_by_day
    def tables(_: date, versions: pl.LazyFrame) -> DayOutputs:
        split = split_day(versions, clean)
        return DayOutputs((split.clean.to_native(), split.quarantined.to_native()), counts=split.counts.to_native())

    return tables


def _checks(clean: Dataset) -> dg.AssetChecksDefinition:
    raw, quarantine = dataset(f"raw/{clean.table}"), dataset(f"quarantine/{clean.table}")

    def judge(lake: Lake, day: date) -> list[str]:
        manifest, source = lake.manifest(clean, day), lake.manifest(raw, day)
        if manifest is None or source is None:
            return [f"{raw.name} or {clean.name} has no manifest"]
        return [f"{problem.rule}: {problem.finding}" for problem in day_problems(manifest, clean, source.rows)]

    text = "Every raw row is clean, quarantined or superseded, and the share of bad ones is below the declared ratio."
    return lake_checks(
        follows_contract(clean), LakeCheck(clean, "rows_accounted_for", text, judge), follows_contract(quarantine)
    )


clean_tables = [_clean(clean) for clean in of_zone("clean")]
clean_checks = [_checks(clean) for clean in of_zone("clean")]
