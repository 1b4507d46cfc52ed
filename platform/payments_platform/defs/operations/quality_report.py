"""The quality report: per day, how many rows broke which rule, with a plot over the days before."""

import base64
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import dagster as dg

from payments_platform.batch.as_usual import BASELINE_DAYS
from payments_platform.batch.quality import quality_plot, quality_report
from payments_platform.contracts.catalogue import extracted, of_zone
from payments_platform.contracts.operations import QUALITY_REPORT
from payments_platform.defs._platform.failures import RETRY
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks
from payments_platform.defs._platform.partitions import days_of
from payments_platform.defs._platform.resources import LAKE
from payments_platform.defs._platform.specs import key_of
from payments_platform.lake.partitions import Lake
from payments_platform.vocabulary import days_between

PLOTTED_DAYS: Final = 30
# Landing too: the report is the last step of the lake half, so its check can speak for the whole run.
_READ: Final = [key_of(read) for zone in ("clean", "curated", "landing") for read in of_zone(zone)]


@lake_assets(QUALITY_REPORT, name="quality_report", deps=_READ)
def report(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
    """Count from the manifests what each rule found, and plot the last days."""
    lake: Lake = context.resources.lake
    first = min(days[0] - timedelta(days=BASELINE_DAYS), days[-1] - timedelta(days=PLOTTED_DAYS - 1))
    manifests = [
        found
        for day in days_between(first, days[-1] + timedelta(days=1))
        for judged in (*of_zone("clean"), *extracted())
        if (judged.zone == "clean" or day >= days[0]) and (found := lake.manifest(judged, day))
    ]
    for day in days:
        yield day, DayOutputs((quality_report(manifests, day),))
    cleaned = [found for found in manifests if found.dataset.startswith("clean/")]
    plotted = [found for found in cleaned if found.day > days[-1] - timedelta(days=PLOTTED_DAYS)]
    picture = base64.b64encode(quality_plot(plotted)).decode()
    plot = dg.MetadataValue.md(f"![share of quarantined rows by day](data:image/png;base64,{picture})")
    context.add_asset_metadata({"plot": plot}, asset_key=key_of(QUALITY_REPORT), partition_key=days[-1].isoformat())


def _unpassed(lake: Lake, day: date) -> list[str]:
    """The lake datasets whose day has not passed: the run that was to make them must not look like a success."""
    wanted = [*extracted(), *of_zone("clean"), *of_zone("curated")]
    verdicts = {dataset.name: lake.manifest(dataset, day) for dataset in wanted}
    return [
        f"{name} is {found.verdict if found else 'missing'}"
        for name, found in verdicts.items()
        if found is None or found.verdict != "passed"
    ]


@dg.asset_check(
    asset=key_of(QUALITY_REPORT),
    name="days_passed",
    description="Every lake dataset of every day of the run has passed; otherwise the run fails, naming them.",
    blocking=True,
    required_resource_keys={LAKE},
    retry_policy=RETRY,
)
def days_passed(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Name what did not pass: in a range the good days go on, and this is where the others come to light."""
    lake: Lake = context.resources.lake
    days = days_of(context.op_execution_context.run.tags)
    found = {day.isoformat(): texts for day in days if (texts := _unpassed(lake, day))}
    return dg.AssetCheckResult(
        passed=not found,
        description="; ".join(f"{day}: {', '.join(texts)}" for day, texts in found.items()) or None,
        metadata={"days": len(days), "days_failed": len(found)},
    )


quality_report_checks = lake_checks(follows_contract(QUALITY_REPORT))
