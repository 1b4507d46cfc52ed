"""Whether a day is like the days before it: its size, its empty columns, its mix of values.

Belongs here: comparing a day's manifest with earlier ones. Does not: counting (profile.py), showing (quality.py). These
are warnings: a busy day is no wrong day, and only a person can tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import log, sqrt
from statistics import fmean, median, pstdev
from typing import Final, Literal

from payments_platform.batch.validate import SUPERSEDED
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.rules import MIX_AS_USUAL, NULLS_AS_USUAL, ROWS_AS_USUAL
from payments_platform.lake.manifest import Manifest

Verdict = Literal["quiet", "fired", "unknown"]
# Four weeks, so that every weekday is in it four times.
BASELINE_DAYS: Final = 28
# One week: with less, a weekend is compared with workdays alone.
MIN_DAYS: Final = 7
# Fewer rows than this vary by chance more than any threshold worth having.
MIN_ROWS: Final = 200
# Weekdays and ramps of a young company stay below it, a tripled day does not.
ROW_FACTOR: Final = 2.5
# Points of a hundred by which a share of nulls may move, beyond what it moves from day to day anyway.
NULL_TOLERANCE: Final = 0.03
# Population stability index: 0.1 and 0.25 are the usual marks for a small and a large shift (Siddiqi, Credit Risk
# Scorecards, 2006, ch. 6). Chance adds about (cells - 1)(1/n + 1/m) to it (Yurdakul, 2018), allowed three times.
PSI_LIMIT: Final = 0.2
_CHANCE: Final = 3
_DEVIATIONS: Final = 4
# What an empty cell counts for, so that a value never seen before has a finite weight.
_HALF_ROW: Final = 0.5


@dataclass(frozen=True)
class Comparison:
    """What one warning says of a day; ``finding`` is for people and names columns and shares, never a row."""

    rule: str
    verdict: Verdict
    finding: str


def comparisons(day: Manifest, earlier: Sequence[Manifest]) -> list[Comparison]:
    """Compare a day with the days before it; [] for a dataset without such warnings.

    Only passed days before this one, of the last BASELINE_DAYS, are a baseline: a day must not be judged by itself, nor
    by one that failed. With too few of them the verdict is unknown, and says so.
    """
    if not dataset(day.dataset).identity:
        return []
    first = day.day - timedelta(days=BASELINE_DAYS)
    known = [other for other in earlier if first <= other.day < day.day and other.verdict == "passed"]
    known = sorted((other for other in known if other.dataset == day.dataset), key=lambda other: other.day)
    if len(known) < MIN_DAYS:
        text = f"no verdict: {len(known)} passed days of the {BASELINE_DAYS} before, {MIN_DAYS} are needed"
        return [Comparison(rule.id, "unknown", text) for rule in (ROWS_AS_USUAL, NULLS_AS_USUAL, MIX_AS_USUAL)]
    return [_rows(day, known), _of_shares(NULLS_AS_USUAL.id, day, known), _of_shares(MIX_AS_USUAL.id, day, known)]


def versions(manifest: Manifest) -> int:
    """Rows that a day brought: clean, quarantined and superseded."""
    return sum(output.rows for output in manifest.outputs.values()) + manifest.counts.get(SUPERSEDED, 0)


def _rows(day: Manifest, earlier: Sequence[Manifest]) -> Comparison:
    found, usual = versions(day), median(versions(other) for other in earlier[-MIN_DAYS:])
    text = f"{found} versions, median of the {MIN_DAYS} days before {usual:.0f}"
    if usual < MIN_ROWS:
        return Comparison(ROWS_AS_USUAL.id, "unknown", f"no verdict: {text}, at least {MIN_ROWS} are needed")
    is_unusual = not usual / ROW_FACTOR <= found <= usual * ROW_FACTOR
    return Comparison(ROWS_AS_USUAL.id, "fired" if is_unusual else "quiet", text)


def _of_shares(rule: str, day: Manifest, earlier: Sequence[Manifest]) -> Comparison:
    large = [other for other in earlier if versions(other) >= MIN_ROWS]
    if versions(day) < MIN_ROWS or len(large) < MIN_DAYS:
        text = f"no verdict: {MIN_ROWS} versions a day are needed, on {MIN_DAYS} days before"
        return Comparison(rule, "unknown", text)
    judge = _nulls if rule == NULLS_AS_USUAL.id else _mix
    judged = [judge(column, day, large) for column in sorted(dataset(day.dataset).names)]
    findings = [finding for finding in judged if finding]
    return Comparison(rule, "fired" if findings else "quiet", "; ".join(findings) or "as on the days before")


def _nulls(column: str, day: Manifest, earlier: Sequence[Manifest]) -> str | None:
    found, usual = _null_share(column, day), [_null_share(column, other) for other in earlier]
    mean = fmean(usual)
    spread = max(pstdev(usual), sqrt(mean * (1 - mean) / versions(day)))
    if abs(found - mean) <= NULL_TOLERANCE + _DEVIATIONS * spread:
        return None
    return f"{column} is empty in {found:.1%} of the versions, usually {mean:.1%}"


def _null_share(column: str, manifest: Manifest) -> float:
    return manifest.profile.get(column, {}).get("", 0) / max(versions(manifest), 1)


def _mix(column: str, day: Manifest, earlier: Sequence[Manifest]) -> str | None:
    """The days before count alike, whatever their size: one bulk load must not be the baseline of a month."""
    found, days = _values(column, day), [_values(column, other) for other in earlier]
    cells = sorted({*found, *(value for other in days for value in other)})
    known = [other for other in days if other]
    if not found or not known:
        return None
    total, rows = sum(found.values()), sum(sum(other.values()) for other in known)
    usual = {cell: fmean(_share(cell, other, len(cells)) for other in known) for cell in cells}
    index, worst = 0.0, ("", 0.0)
    for cell in cells:
        share = _share(cell, found, len(cells))
        part = (share - usual[cell]) * log(share / usual[cell])
        index, worst = index + part, max(worst, (cell, part), key=lambda pair: pair[1])
    if index <= PSI_LIMIT + _CHANCE * (len(cells) - 1) * (1 / total + 1 / rows):
        return None
    shares = f"{_share(worst[0], found, len(cells)):.1%}, usually {usual[worst[0]]:.1%}"
    return f"{column} has shifted (PSI {index:.2f}), {worst[0]} most: {shares}"


def _values(column: str, manifest: Manifest) -> Mapping[str, int]:
    return {value: rows for value, rows in manifest.profile.get(column, {}).items() if value}


def _share(cell: str, counts: Mapping[str, int], cells: int) -> float:
    return (counts.get(cell, 0) + _HALF_ROW) / (sum(counts.values()) + _HALF_ROW * cells)
