"""Raw: for each source table, the day's history.

The datasets differ by their contract alone, so one factory makes them.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from payments_platform.batch.personal import suspects, text_columns, text_counts, text_findings
from payments_platform.batch.reconcile import digests_checked_against, outside_day, unreconciled
from payments_platform.contracts.catalogue import extracted
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.rules import WITHIN_DAY, partition_rules
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import LakeCheck, follows_contract, lake_checks
from payments_platform.defs._platform.resources import SOURCE
from payments_platform.defs.oltp.tables import key_of_source
from payments_platform.lake.partitions import Lake


def _raw(dataset: Dataset) -> dg.AssetsDefinition:
    @lake_assets(dataset, name=f"raw_{dataset.table}", deps=[key_of_source(dataset)], resources={SOURCE})
    def extract(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
        source, lake = context.resources.source, context.resources.lake
        for day, extraction in source.extract(dataset, days):
            context.log.info("%s[%s]: extracting %d rows", dataset.name, day, extraction.totals.rows)
            unchanged = digests_checked_against(lake.manifest(dataset, day), extraction)
            yield day, DayOutputs((extraction.frames,), extraction.counts, unchanged)

    return extract


def _checks(dataset: Dataset) -> dg.AssetChecksDefinition:
    def judge(lake: Lake, day: date) -> list[str]:
        manifest = lake.manifest(dataset, day)
        differences = [str(found) for found in unreconciled(manifest)] if manifest else []
        if WITHIN_DAY not in partition_rules(dataset):
            return differences
        return differences + outside_day(lake.scan(dataset, day, allow_pending=True), day)

    text = "Rows, and the sum of each currency, are those that the source counted in the same snapshot, all of the day."
    checks = (follows_contract(dataset), LakeCheck(dataset, "reconciliation", text, judge))
    return lake_checks(*checks, warnings=[_text_check(dataset)] if text_columns(dataset) else [])


def _text_check(dataset: Dataset) -> LakeCheck:
    def judge(lake: Lake, day: date) -> list[str]:
        manifest = lake.manifest(dataset, day)
        counts = text_counts(manifest) if manifest else {}
        if not any(counts.values()):
            return []
        rows = suspects(lake.scan(dataset, day, allow_pending=True), dataset)
        return text_findings(counts, rows, dataset)

    text = "Free text holds no e-mail address, telephone number or account, and no card number had to be masked."
    return LakeCheck(dataset, "text_is_impersonal", text, judge)


raw_tables = [_raw(dataset) for dataset in extracted()]
raw_checks = [_checks(dataset) for dataset in extracted()]
