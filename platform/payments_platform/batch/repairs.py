"""What people decided about quarantined rows, applied to the versions of a day before they are judged.

Belongs here: values of a repair, rows that are released, the state of each quarantined row. Does not: where decisions
are kept (lake/records.py), the judging itself (validate.py).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import polars as pl

from payments_platform.batch.errors import BatchError
from payments_platform.contracts.dataset import Column, Dataset, Pii

State = Literal["open", "repaired", "released", "discarded", "failed again"]
STATES: Final[tuple[State, ...]] = ("open", "repaired", "released", "discarded", "failed again")
_OF_ACTION: Final[dict[str, State]] = {"repair": "repaired", "release": "released", "discard": "discarded"}
RELEASED: Final = "is_released"
# The count that tells, in the manifest of a clean day, how many decisions it was made with.
APPLIED: Final = "repairs"
_TRUTH: Final = {"true": True, "false": False}


class RepairRefused(BatchError):
    """A decision that cannot be carried out as it stands; the text says why, and what to do instead."""


@dataclass(frozen=True)
class RowState:
    """Where a row stands. ``is_applied``: the day was built since the last decision about it."""

    table: str
    day: date
    key: str
    version: int
    reasons: str
    state: State
    is_applied: bool
    age_days: int


def fixed_columns(raw: Dataset) -> set[str]:
    """What a repair may not touch: which version of which row it is, is for the source to say."""
    return {*raw.primary_key, "epoch", "version", "op", "updated_at", "load_id"}


def parsed(raw: Dataset, name: str, text: str | None) -> Any:  # noqa: ANN401 - a cell of any column type
    """The value that a text means in a column. Raises RepairRefused for an unknown or fixed column or another type.

    Personal data cannot be written this way: the decisions are kept for ever, and erasure would have to rewrite them.
    """
    if name not in raw.names:
        raise RepairRefused(f"{raw.table} has no column {name!r}; it has: {', '.join(raw.names)}")
    if name in fixed_columns(raw):
        raise RepairRefused(f"{name} says which row and version this is; only the source can change it")
    column = raw.column(name)
    if text is None:
        return None
    if column.pii in {Pii.PERSONAL, Pii.FREE_TEXT}:
        raise RepairRefused(f"{name} holds personal data: a repair can only empty it (--null {name})")
    try:
        return _typed(column, text)
    except (ValueError, KeyError, InvalidOperation, TypeError, OverflowError):
        raise RepairRefused(f"{text!r} is no {column.dtype} as {name} needs it") from None


def with_repairs(versions: pl.LazyFrame, raw: Dataset, decisions: pl.DataFrame) -> pl.LazyFrame:
    """A day's versions with the last decision about each row applied, and whether the row is released.

    The rest of the day is untouched; a decision about a version that is no longer there has no effect.
    """
    last = {(row["row_key"], row["version"]): row for row in decisions.iter_rows(named=True)}
    rows = [_applied(raw, row) for row in last.values() if row["action"] != "discard"]
    if not rows:
        return versions.with_columns(pl.lit(value=False).alias(RELEASED))
    changed = sorted({name for row in rows for name in row["changes"]})
    key, version = raw.primary_key
    columns: dict[str, pl.Series] = {
        key: pl.Series([row["row_key"] for row in rows], dtype=raw.schema[key]),
        version: pl.Series([row["version"] for row in rows], dtype=raw.schema[version]),
        RELEASED: pl.Series([row["action"] == "release" for row in rows]),
    }
    for name in changed:
        columns[f"{name} set"] = pl.Series([name in row["changes"] for row in rows])
        columns[f"{name} new"] = pl.Series([row["changes"].get(name) for row in rows], dtype=raw.schema[name])
    joined = versions.join(pl.DataFrame(columns).lazy(), on=[key, version], how="left", maintain_order="left")
    repaired = [pl.when(f"{name} set").then(f"{name} new").otherwise(name).alias(name) for name in changed]
    return joined.with_columns(*repaired, pl.col(RELEASED).fill_null(value=False)).select(*raw.names, RELEASED)


def states(
    quarantined: pl.DataFrame, raw: Dataset, decisions: pl.DataFrame, *, day: date, applied: int, today: date
) -> list[RowState]:
    """The state of every row of a day that is in quarantine, or was before somebody decided about it."""
    last = {(row["row_key"], row["version"]): row for row in decisions.iter_rows(named=True)}
    broken = quarantined.select(*raw.primary_key, "reasons").iter_rows()
    reasons = {(key, version): text for key, version, text in broken}
    found = []
    for key, version in sorted({*last, *reasons}):
        decision = last.get((key, version))
        is_applied = decision is not None and decision["record_number"] <= applied
        state: State = "open" if decision is None else _OF_ACTION[decision["action"]]
        if is_applied and (key, version) in reasons and state in {"repaired", "released"}:
            state = "failed again"
        text = reasons.get((key, version), "")
        age = (today - day).days
        found.append(RowState(raw.table, day, key, version, text, state, is_applied, age))
    return found


def refuse_release(clean: Dataset, reasons: str) -> None:
    """Raise RepairRefused for a row whose broken rules cannot be waived: a later table would break on it.

    A rule that no longer exists holds nothing back: the next run of the day judges without it.
    """
    rules = {rule.id: rule for rule in clean.row_rules}
    firm = [rule for rule in reasons.split(",") if rule in rules and not rules[rule].is_releasable]
    if firm:
        texts = "; ".join(f"{rule}: {rules[rule].reason}" for rule in firm)
        raise RepairRefused(f"The row cannot be released as it is ({texts}). Repair it: payments quarantine repair")


def masked(raw: Dataset, row: Mapping[str, Any], known: Iterable[str]) -> dict[str, str]:
    """A row's values for people: numbers, times and listed codes as they are, all other text as its shape."""
    return {name: _shown(raw.column(name), value, set(known)) for name, value in row.items() if name in raw.names}


def _shown(column: Column, value: Any, known: set[str]) -> str:  # noqa: ANN401 - a cell of any column type
    if value is None:
        return "null"
    if column.pii is Pii.NONE and (not isinstance(value, str) or value in known):
        return str(value)
    return shape(str(value))


def shape(text: str) -> str:
    """A text with 9 for each digit and a for each letter: it shows what is wrong with a value, and not whose it is."""
    return "".join("9" if sign.isdigit() else "a" if sign.isalpha() else sign for sign in text)


def _applied(raw: Dataset, decision: Mapping[str, Any]) -> dict[str, Any]:
    """A decision with its values typed. One that today's contract no longer understands is named, to be redone."""
    try:
        changes = {name: parsed(raw, name, text) for name, text in json.loads(decision["changes"]).items()}
    except RepairRefused as refused:
        row = f"{decision['table_name']} {decision['partition_date']} {decision['row_key']}/{decision['version']}"
        raise RepairRefused(
            f"Decision {decision['record_number']} about {row} cannot be carried out: {refused}. "
            f"Decide anew: payments quarantine repair {row} … (or discard)"
        ) from None
    return {**decision, "changes": changes}


def _typed(column: Column, text: str) -> Any:  # noqa: ANN401 - a cell of any column type
    match column.dtype:
        case pl.String():
            return text
        case pl.Boolean():
            return _TRUTH[text.lower()]
        case pl.Decimal():
            return Decimal(text)
        case pl.Datetime():
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise ValueError(text)
            return moment
        case pl.Date():
            return date.fromisoformat(text)
        case dtype if dtype.is_integer():
            return pl.Series([int(text)], dtype=dtype).item()
        case _:
            raise ValueError(text)
