"""Checks of lake assets: each blocking one judges every day of the run, and the verdict goes into the day's manifest.

Belongs here: running judges over days, severities in a range, the verdict, warnings that block nothing. Does not: what
a judge looks at (contracts/pandera_schema.py, batch/reconcile.py), frames of a day.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import dagster as dg

from payments_platform.batch.as_usual import BASELINE_DAYS
from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.partitions import days_of
from payments_platform.defs._platform.resources import LAKE
from payments_platform.defs._platform.specs import key_of
from payments_platform.lake.errors import LakeError
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Lake

Judge = Callable[[Lake, date], Sequence[str]]
ROWS_AT_ONCE: Final = 250_000


@dataclass(frozen=True)
class LakeCheck:
    """One blocking check: of which dataset, its name, what it makes sure of, and the judge (findings, [] when good)."""

    dataset: Dataset
    name: str
    description: str
    judge: Judge


def follows_contract(dataset: Dataset) -> LakeCheck:
    """The Pandera check that every table has: schema, nulls, every rule, unique key."""

    def judge(lake: Lake, day: date) -> list[str]:
        from payments_platform.contracts.pandera_schema import duplicate_keys, validate

        rows = lake.scan(dataset, day, allow_pending=True)
        violations = [
            found for batch in rows.collect_batches(chunk_size=ROWS_AT_ONCE) for found in validate(dataset, batch)
        ]
        return [str(violation) for violation in (*violations, *duplicate_keys(dataset, rows))]

    text = f"Columns, types, nulls, rules and the unique key ({', '.join(dataset.primary_key)}) hold, by Pandera."
    return LakeCheck(dataset, "contract", text, judge)


def lake_checks(*checks: LakeCheck, warnings: Sequence[LakeCheck] = ()) -> dg.AssetChecksDefinition:
    """One op of blocking checks over datasets that share a manifest; it leaves each day passed or failed.

    In a range, a check that some days fail is a warning, so that the good days go on; it is an error when none passed.
    ``warnings`` are looked at afterwards, with the verdicts known; what they find blocks nothing.
    """
    keeper = checks[0].dataset

    @dg.multi_asset_check(
        name=f"{'_'.join(keeper.key)}_checks",
        specs=[
            dg.AssetCheckSpec(check.name, asset=key_of(check.dataset), description=check.description, blocking=True)
            for check in checks
        ]
        + [
            dg.AssetCheckSpec(check.name, asset=key_of(check.dataset), description=check.description)
            for check in warnings
        ],
        required_resource_keys={LAKE},
        retry_policy=RETRY,
        op_tags={"zone": keeper.zone},
    )
    @explained
    def op(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        lake: Lake = context.resources.lake
        days = days_of(context.op_execution_context.run.tags)
        judged = {day: lake.manifest(keeper, day) for day in days}
        found = {check: {day: _findings(check, lake, day) for day in days} for check in checks}
        for day, manifest in judged.items():
            findings = tuple(text for check in checks for text in found[check][day])
            if manifest is not None and manifest.verdict != "failed":
                lake.set_verdict(keeper, day, "failed" if findings else "passed", findings[:20], judged=manifest)
        for check in checks:
            yield _result(check, found[check])
        for warning in warnings:
            yield _warned(warning, {day: _remarks(warning, lake, day) for day in days})

    return op


def _remarks(warning: LakeCheck, lake: Lake, day: date) -> tuple[str, ...]:
    if lake.manifest(warning.dataset, day) is None:
        return ()
    try:
        return tuple(warning.judge(lake, day))
    except LakeError as error:
        return (str(error),)


def _warned(warning: LakeCheck, found: Mapping[date, tuple[str, ...]]) -> dg.AssetCheckResult:
    """Rule ids and counts by day, as a warning: the day goes on."""
    remarks = {day.isoformat(): list(texts[:20]) for day, texts in found.items() if texts}
    return dg.AssetCheckResult(
        asset_key=key_of(warning.dataset),
        check_name=warning.name,
        passed=not remarks,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{day}: {texts[0]}" for day, texts in list(remarks.items())[:3]) or None,
        metadata={"days": len(found), "days_remarked": len(remarks), "findings": dg.MetadataValue.json(remarks)},
    )


def baseline_of(lake: Lake, dataset: Dataset, day: date) -> list[Manifest]:
    """The manifests of the days that a day is compared with."""
    days = [day - timedelta(days=back) for back in range(1, BASELINE_DAYS + 1)]
    return [manifest for earlier in days if (manifest := lake.manifest(dataset, earlier))]


def _findings(check: LakeCheck, lake: Lake, day: date) -> tuple[str, ...]:
    manifest = lake.manifest(check.dataset, day)
    if manifest is None:
        return ("the day was not written, because what it reads has not passed",)
    if manifest.verdict == "failed":
        # A verdict stands until the day is written again: looking once more at the same rows heals nothing.
        return manifest.notes or ("the day failed before and has not been written again",)
    try:
        return tuple(check.judge(lake, day))
    except LakeError as error:
        return (str(error),)


def _result(check: LakeCheck, found: Mapping[date, tuple[str, ...]]) -> dg.AssetCheckResult:
    """Rule ids, counts and row ids by day; never a value."""
    bad = {day.isoformat(): list(texts[:20]) for day, texts in found.items() if texts}
    all_bad = len(bad) == len(found)
    return dg.AssetCheckResult(
        asset_key=key_of(check.dataset),
        check_name=check.name,
        passed=not bad,
        severity=dg.AssetCheckSeverity.ERROR if all_bad else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{day}: {texts[0]}" for day, texts in list(bad.items())[:3]) or None,
        metadata={"days": len(found), "days_failed": len(bad), "findings": dg.MetadataValue.json(bad)},
    )
