"""Judging rows: clean, quarantined or superseded, and nothing in between.

Belongs here: the split by rules and what a day as a whole must satisfy. Does not: the rules (contracts/), reading or
writing partitions (lake/). Written on Narwhals, so that the same lines run on Polars and on Spark.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import narwhals as nw
import polars as pl
from narwhals.exceptions import ColumnNotFoundError

from payments_platform.batch.errors import UnknownColumn
from payments_platform.batch.position import Lazy, is_highest, with_highest
from payments_platform.batch.repairs import RELEASED, with_repairs
from payments_platform.batch.tombstones import is_delete, stripped, with_last_values
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.columns import POSITION
from payments_platform.contracts.dataset import Dataset, Rule, Severity
from payments_platform.contracts.quarantine import REPAIRS
from payments_platform.contracts.rules import BAD_RATIO, DELETE_OP, ROWS_CONSERVED
from payments_platform.lake.manifest import Manifest

REASONS: Final = "reasons"
SUPERSEDED: Final = "superseded"


@dataclass(frozen=True)
class Split:
    """The three parts of a day's versions. ``counts`` has one row: ``superseded`` and ``rule:<id>`` of every rule."""

    clean: Lazy
    quarantined: Lazy
    superseded: Lazy
    counts: Lazy


def split(
    versions: Lazy,
    rules: Sequence[Rule],
    *,
    key: Sequence[str],
    position: Sequence[str] = POSITION,
    identity: Sequence[str] = (),
    keeps_history: bool = False,
    has_released: bool = False,
) -> Split:
    """Separate a day's row versions into clean, quarantined and superseded rows.

    Every version is judged first. Quarantined: broke at least one rule; ``reasons`` lists all of them, in rule order,
    joined by commas. Clean: the highest good version of each key by ``position``, or every good version when the
    dataset keeps history. Superseded: the other good ones. A rule whose value is null counts as held.

    A delete that has its ``identity`` is judged by the rules about identity and order alone. Where its values break a
    rule, it takes those of the day's last good version, and without one it has none but its identity.

    With ``has_released``, rows whose ``is_released`` is true pass the rules that a person may waive.

    No row is lost or duplicated: ``clean + quarantined + superseded == versions``. Two good versions of one key with
    the same position both stay clean, and the day fails by its duplicate key: choosing one would hide a broken source.
    Raises UnknownColumn when a rule names a column that the frame lacks.
    """
    _refuse_unknown_columns(versions, rules)
    names = versions.collect_schema().names()
    row_rules = [rule for rule in rules if rule.severity is Severity.ROW]
    judged = versions.with_columns(_reasons(row_rules, has_released=has_released).alias(REASONS))
    good, bad = judged.filter(nw.col(REASONS) == ""), judged.filter(nw.col(REASONS) != "")
    if identity:
        asked = _reasons([rule for rule in row_rules if rule.judges_deletes], has_released=has_released)
        good, bad = _spared(good, bad, asked, key=key, position=position, identity=identity, history=keeps_history)
    if keeps_history:
        clean, superseded = good, good.filter(nw.col(REASONS) != "")
    else:
        ordered = with_highest(good, key, position)
        clean, superseded = ordered.filter(is_highest()), ordered.filter(~is_highest())
    return Split(
        clean.select(names),
        bad.select(*names, REASONS),
        superseded.select(names),
        _counts(versions, bad, superseded, rules),
    )


def split_day(raw: pl.LazyFrame, clean: Dataset, decisions: pl.DataFrame | None = None) -> Split:
    """``split`` with the rules, key, identity and history of the clean dataset's contract.

    ``decisions`` of people about rows of the day are applied first; a repaired row is judged by every rule again.
    Whether the day has a delete at all is looked up first, in one column: most days of payments have none, and the
    plan without them needs half the time.
    """
    if not clean.identity:
        return split(nw.from_native(raw), clean.rules, key=clean.primary_key, keeps_history=clean.keeps_history)
    of_day = pl.DataFrame(schema=REPAIRS.schema) if decisions is None else decisions
    parts = split(
        nw.from_native(with_repairs(raw, dataset(f"raw/{clean.table}"), of_day)),
        clean.rules,
        key=clean.primary_key,
        identity=(*clean.identity, RELEASED) if _has_deletes(raw) else (),
        keeps_history=clean.keeps_history,
        has_released=not of_day.is_empty(),
    )
    return replace(parts, quarantined=parts.quarantined.drop(RELEASED))


def _has_deletes(raw: pl.LazyFrame) -> bool:
    return not raw.filter(pl.col("op") == DELETE_OP).select("op").head(1).collect(engine="streaming").is_empty()


def _spared(
    good: Lazy,
    bad: Lazy,
    asked: nw.Expr,
    *,
    key: Sequence[str],
    position: Sequence[str],
    identity: Sequence[str],
    history: bool,
) -> tuple[Lazy, Lazy]:
    """Move the deletes that satisfy the rules about identity and order from the bad rows to the good ones."""
    again = bad.with_columns(nw.when(is_delete(identity)).then(asked).otherwise(nw.col(REASONS)).alias(REASONS))
    names = good.collect_schema().names()
    deletes = stripped(again.filter(nw.col(REASONS) == ""), (*identity, REASONS), names)
    if not history:
        deletes = with_last_values(deletes, good, key=key, position=position, identity=(*identity, REASONS))
    return nw.concat([good, deletes]), again.filter(nw.col(REASONS) != "")


def _reasons(rules: Sequence[Rule], *, has_released: bool = False) -> nw.Expr:
    if not rules:
        return nw.lit("")
    waived = nw.col(RELEASED) if has_released else nw.lit(value=False)
    broken = [
        nw.when(~rule.holds & ~waived if has_released and rule.is_releasable else ~rule.holds).then(nw.lit(rule.id))
        for rule in rules
    ]
    return nw.concat_str(*broken, separator=",", ignore_nulls=True)


def _counts(versions: Lazy, quarantined: Lazy, superseded: Lazy, rules: Sequence[Rule]) -> Lazy:
    """One row of counts; a rule's count is the number of rows that broke it, whatever else they broke."""
    listed = nw.concat_str(nw.lit(","), nw.col(REASONS), nw.lit(","))
    of_rules = [
        listed.str.contains(f",{rule.id},", literal=True).cast(nw.Int64).sum().alias(f"rule:{rule.id}")
        for rule in rules
        if rule.severity is Severity.ROW
    ]
    warned = [
        (~nw.coalesce(rule.holds, nw.lit(value=True))).cast(nw.Int64).sum().alias(f"rule:{rule.id}")
        for rule in rules
        if rule.severity is Severity.WARN
    ]
    counts = superseded.select(nw.len().cast(nw.Int64).alias(SUPERSEDED))
    if of_rules:
        counts = counts.join(quarantined.select(*of_rules), how="cross")
    return counts.join(versions.select(*warned), how="cross") if warned else counts


def _refuse_unknown_columns(frame: Lazy, rules: Sequence[Rule]) -> None:
    for rule in rules:
        try:
            frame.select(rule.holds).collect_schema()
        except ColumnNotFoundError as error:
            known = ", ".join(frame.collect_schema().names())
            raise UnknownColumn(f"rule {rule.id} names a column that the frame lacks; it has: {known}") from error


def warned_rows(manifest: Manifest) -> list[str]:
    """What the warnings about single rows counted on a day, by rule id; [] for nothing."""
    counts = {rule: manifest.counts.get(f"rule:{rule.id}", 0) for rule in dataset(manifest.dataset).warn_rules}
    return [f"{rule.id}: {count} rows" for rule, count in counts.items() if count]


@dataclass(frozen=True)
class DayProblem:
    """Why a day as a whole fails: rule id, and what was found."""

    rule: str
    finding: str


def day_problems(manifest: Manifest, clean: Dataset, raw_rows: int) -> list[DayProblem]:
    """What the counts of a split say against the day: rows lost or made, or too many bad ones.

    A lost row is lost money in every table downstream, so it fails the day whatever its size.
    """
    rows = {name.partition("/")[0]: output.rows for name, output in manifest.outputs.items()}
    kept, bad, older = rows.get("clean", 0), rows.get("quarantine", 0), manifest.counts.get(SUPERSEDED, 0)
    problems = []
    if raw_rows != kept + bad + older:
        finding = (
            f"raw {raw_rows} rows, but clean {kept} + quarantine {bad} + superseded {older} = {kept + bad + older}"
        )
        problems.append(DayProblem(ROWS_CONSERVED.id, finding))
    if raw_rows and bad > clean.tolerated_bad_rows and bad / raw_rows > clean.max_bad_ratio:
        finding = f"{bad} of {raw_rows} rows are quarantined ({bad / raw_rows:.2%}), allowed {clean.max_bad_ratio:.2%}"
        problems.append(DayProblem(BAD_RATIO, finding))
    return problems
