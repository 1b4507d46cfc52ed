"""Comparing what was written with what the source counted, and a new extraction with the one before.

Belongs here: the comparisons, as records that a check can show. Does not: asking the source (extract.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from payments_platform.batch.errors import SourceChanged
from payments_platform.batch.extract import SOURCE_EPOCH, SOURCE_ROWS, SOURCE_SUM, Extraction, Totals
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.rules import ROWS_AS_SOURCE, SUMS_AS_SOURCE, WITHIN_DAY
from payments_platform.lake.frames import digest_algorithm
from payments_platform.lake.manifest import Manifest, Output


@dataclass(frozen=True)
class Difference:
    """One figure that is not the same: ``rows`` or ``sum:<currency>``, at the source and in the lake; and its rule."""

    figure: str
    source: int
    lake: int

    @property
    def rule(self) -> str:
        """Id of the partition rule that the difference breaks."""
        return (ROWS_AS_SOURCE if self.figure == "rows" else SUMS_AS_SOURCE).id

    def __str__(self) -> str:
        figures = f"source {self.source}, lake {self.lake}, difference {self.lake - self.source}"
        return f"{self.rule}: {self.figure}: {figures}"


def differences(totals: Totals, written: Output) -> list[Difference]:
    """Where a day in the lake differs from the source's own count of it: rows, and the sum of each currency.

    A currency that only one side has counts as 0 on the other. [] means that not a row and not a cent is lost.
    """
    figures = [Difference("rows", totals.rows, written.rows)]
    for currency in sorted({*totals.sums, *written.sums}):
        source, lake = totals.sums.get(currency, 0), written.sums.get(currency, 0)
        figures.append(Difference(f"sum:{currency or 'null'}", source, lake))
    return [figure for figure in figures if figure.source != figure.lake]


def recorded_totals(manifest: Manifest) -> Totals | None:
    """The source's totals that the extraction left in the manifest's counts, or None."""
    if SOURCE_ROWS not in manifest.counts:
        return None
    sums = {
        name.removeprefix(SOURCE_SUM): total for name, total in manifest.counts.items() if name.startswith(SOURCE_SUM)
    }
    return Totals(manifest.counts[SOURCE_ROWS], sums)


def unreconciled(manifest: Manifest) -> list[Difference]:
    """``differences`` between a raw manifest and the totals that it carries."""
    totals = recorded_totals(manifest)
    if totals is None:
        return [Difference("rows", 0, manifest.rows)] if manifest.rows else []
    return differences(totals, manifest.main)


def outside_day(rows: pl.LazyFrame, day: date) -> list[str]:
    """What breaks P-within-day: versions that the source did not write on the UTC day."""
    start = datetime.combine(day, time(), UTC)
    written = pl.col("updated_at")
    outside = ~written.is_between(start, start + timedelta(days=1), closed="left")
    count = rows.select(outside.sum()).collect(engine="streaming").item()
    return [f"{WITHIN_DAY.id}: {count} versions were written before {day} or after it"] if count else []


def digests_checked_against(before: Manifest | None, extraction: Extraction) -> Callable[[], dict[str, str]]:
    """The extraction's digests, asked for when its frames are written and its manifest is about to be.

    Raises SourceChanged then, when rows extracted before are not there as they were, so that nothing is committed. A
    day's history only grows, and after the day is over only by bulk loads, each under its own id: the digest of each
    load of the earlier extraction must come again, new loads may be there. Anything else means that somebody rewrote
    history, and that yesterday's reports cannot be made again. Another epoch is another life of the source; another
    release of the hash, or other columns in the contract, say nothing. None of these is compared.
    """

    def checked() -> dict[str, str]:
        digests, counts = extraction.source_digests(), extraction.counts()
        if before is not None and _comparable(before, extraction.dataset, counts[SOURCE_EPOCH]):
            _refuse_changes(before, digests)
        return digests

    return checked


def _comparable(before: Manifest, dataset: Dataset, epoch: int) -> bool:
    return before.main.digest_algorithm == digest_algorithm(dataset) and before.counts.get(SOURCE_EPOCH) == epoch


def _refuse_changes(before: Manifest, digests: Mapping[str, str]) -> None:
    changed = [load for load, digest in before.source_digests.items() if digests.get(load) != digest]
    if changed:
        names = ", ".join(repr(load) if load else "the application" for load in changed)
        raise SourceChanged(
            f"{before.dataset} {before.day}: rows written by {names} changed or vanished at the source since"
            f" {before.written_at:%Y-%m-%d %H:%M} UTC. The lake keeps what it had. After a restore of the source, raise"
            " PAYMENTS_EPOCH; to take the source as it is, remove the day's manifest; then run the day again."
        )
