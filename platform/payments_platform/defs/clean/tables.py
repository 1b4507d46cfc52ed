"""Clean and quarantine: each day split by the rules of its contract. One factory: the rules are the only difference."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import polars as pl

from payments_platform.batch.as_usual import comparisons
from payments_platform.batch.profile import profile
from payments_platform.batch.repairs import APPLIED
from payments_platform.batch.slices import sliced
from payments_platform.batch.validate import day_problems, split_day, warned_rows
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.quarantine import REPAIRS
from payments_platform.defs._platform.frames import DayFrames
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import LakeCheck, baseline_of, follows_contract, lake_checks
from payments_platform.defs._platform.specs import key_of
from payments_platform.lake import records
from payments_platform.lake.partitions import Lake
from payments_platform.lake.writing import Slices


def _clean(clean: Dataset) -> dg.AssetsDefinition:
    raw, quarantine = dataset(f"raw/{clean.table}"), dataset(f"quarantine/{clean.table}")

    decided = [key_of(REPAIRS)] if clean.identity else []

    @lake_assets(clean, quarantine, name=f"clean_{clean.table}", reads={"versions": raw}, deps=decided)
    def tables(
        context: dg.AssetExecutionContext, _: list[date], versions: DayFrames
    ) -> Iterator[tuple[date, DayOutputs]]:
        storage = context.resources.lake.storage
        for day, rows in versions.items():
            yield day, _outputs(rows, clean, records.read(storage, REPAIRS, clean.table, day))

    return tables


def _outputs(versions: pl.LazyFrame, clean: Dataset, decisions: pl.DataFrame) -> DayOutputs:
    """Judge a day slice by slice, with what people decided; the number of decisions is counted with the first slice."""
    slices = sliced(versions, clean.primary_key[0])
    splits = [split_day(some, clean, decisions) for some in slices]
    applied = [decisions.height, *(0 for _ in slices[1:])]
    parts = (
        Slices(split.clean.to_native() for split in splits),
        Slices(split.quarantined.to_native() for split in splits),
    )
    counts = Slices(
        split.counts.to_native().with_columns(pl.lit(number, dtype=pl.Int64).alias(APPLIED))
        for split, number in zip(splits, applied, strict=True)
    )
    profiles = Slices(found for some in slices if (found := profile(some, clean)) is not None)
    return DayOutputs(parts, counts=counts, profile=profiles)


def _checks(clean: Dataset) -> dg.AssetChecksDefinition:
    raw, quarantine = dataset(f"raw/{clean.table}"), dataset(f"quarantine/{clean.table}")

    def judge(lake: Lake, day: date) -> list[str]:
        manifest, source = lake.manifest(clean, day), lake.manifest(raw, day)
        if manifest is None or source is None:
            return [f"{raw.name} or {clean.name} has no manifest"]
        return [f"{problem.rule}: {problem.finding}" for problem in day_problems(manifest, clean, source.rows)]

    text = "Every raw row is clean, quarantined or superseded, and the share of bad ones is below the declared ratio."
    return lake_checks(
        follows_contract(clean),
        LakeCheck(clean, "rows_accounted_for", text, judge),
        follows_contract(quarantine),
        warnings=_warnings(clean),
    )


def _warnings(clean: Dataset) -> list[LakeCheck]:
    """What is reported and blocks nothing: references that the source did not know, days unlike the days before."""

    def unknown_references(lake: Lake, day: date) -> list[str]:
        manifest = lake.manifest(clean, day)
        return warned_rows(manifest) if manifest else []

    def unusual(lake: Lake, day: date) -> list[str]:
        manifest = lake.manifest(clean, day)
        found = comparisons(manifest, baseline_of(lake, clean, day)) if manifest else []
        return [f"{warning.rule}: {warning.finding}" for warning in found if warning.verdict == "fired"]

    known = "The source knew what each row refers to; rows that name something unknown stay, with an inferred member."
    usual = "As many versions, as often empty, and mixed as on the days before (no finding while these are too few)."
    checks = [LakeCheck(clean, "references_known", known, unknown_references)] if clean.warn_rules else []
    return [*checks, LakeCheck(clean, "as_usual", usual, unusual)] if clean.identity else checks


clean_tables = [_clean(clean) for clean in of_zone("clean")]
clean_checks = [_checks(clean) for clean in of_zone("clean")]
