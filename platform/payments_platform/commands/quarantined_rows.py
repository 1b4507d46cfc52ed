"""The quarantine as its commands ask it: a table's rows of a day, one row, what was decided about it before.

Belongs here: finding rows and decisions in the lake. Does not: printing, deciding (quarantine.py), what state a row is
in (batch/repairs.py).
"""

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import typer

from payments_platform.errors import ExplainedError

if TYPE_CHECKING:
    import polars as pl

    from payments_platform.batch.repairs import RowState
    from payments_platform.contracts.dataset import Dataset
    from payments_platform.lake.partitions import Lake


class RowUnknown(ExplainedError):
    """There is no such table, day or row in quarantine; the text names what there is."""


def open_lake() -> "Lake":
    """The lake of the settings."""
    from payments_platform.lake.partitions import Lake
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.settings import load_settings

    return Lake(LocalStorage(load_settings().lake_root))


def tables() -> list[str]:
    """The tables that have a quarantine to decide about."""
    from payments_platform.contracts.catalogue import of_zone

    return [clean.table for clean in of_zone("clean") if clean.identity]


def contract_of(table: str) -> "Dataset":
    """A table's contract. Raises RowUnknown naming the tables that there are."""
    from payments_platform.contracts.catalogue import dataset

    if table not in tables():
        raise RowUnknown(f"{table!r} has no quarantine that can be decided about; tables: {', '.join(tables())}")
    return dataset(f"raw/{table}")


def parts(row: str) -> tuple[str, int]:
    """Key and version of a row, as `list` names it."""
    key, _, version = row.rpartition("/")
    if not key or not version.isdigit():
        raise typer.BadParameter(f"{row!r} names no row; write KEY/VERSION, as `payments quarantine list` does")
    return key, int(version)


def quarantined(lake: "Lake", raw: "Dataset", day: date) -> "pl.LazyFrame":
    """The quarantine of a day, also of one whose checks failed: that is when it must be looked at."""
    from payments_platform.contracts.catalogue import dataset

    return lake.scan(dataset(f"quarantine/{raw.table}"), day, allow_pending=True)


def values_of(lake: "Lake", raw: "Dataset", day: date, key: str, version: int) -> dict[str, Any]:
    """One quarantined row. Raises RowUnknown naming some that are there."""
    found = find(lake, raw, day, key, version)
    if found is None:
        rows = quarantined(lake, raw, day).select(raw.primary_key).head(5).collect()
        there = [f"{known}/{number}" for known, number in rows.iter_rows()]
        known = f"; there are: {', '.join(there)}" if there else "; that day has none"
        raise RowUnknown(f"{raw.table} {day} has no row {key}/{version} in quarantine{known}.")
    return found


def find(lake: "Lake", raw: "Dataset", day: date, key: str, version: int) -> dict[str, Any] | None:
    """One quarantined row, None when it is there no more."""
    import polars as pl

    rows, (key_name, version_name) = quarantined(lake, raw, day), raw.primary_key
    found = rows.filter((pl.col(key_name) == key) & (pl.col(version_name) == version)).collect()
    return None if found.is_empty() else found.row(0, named=True)


def decisions_about(lake: "Lake", table: str, day: date, key: str, version: int) -> list[dict[str, Any]]:
    """What was decided about a row, the oldest first."""
    from payments_platform.contracts.quarantine import REPAIRS
    from payments_platform.lake import records

    found = records.read(lake.storage, REPAIRS, table, day)
    return [row for row in found.iter_rows(named=True) if (row["row_key"], row["version"]) == (key, version)]


def is_decided(
    lake: "Lake", table: str, day: date, key: str, version: int, action: str, changes: dict[str, str | None]
) -> bool:
    """Whether that very decision is the last one about the row."""
    past = decisions_about(lake, table, day, key, version)
    return bool(past) and (past[-1]["action"], json.loads(past[-1]["changes"])) == (action, changes)


def states_of(lake: "Lake", raw: "Dataset", day: date | None) -> "list[RowState]":
    """Every row in quarantine or decided about, of a table's days."""
    from payments_platform.batch.repairs import APPLIED, states
    from payments_platform.contracts.catalogue import dataset
    from payments_platform.contracts.quarantine import REPAIRS
    from payments_platform.lake import records

    found: list[RowState] = []
    for manifest in lake.manifests(dataset(f"clean/{raw.table}")):
        if day not in {None, manifest.day}:
            continue
        decisions = records.read(lake.storage, REPAIRS, raw.table, manifest.day)
        if manifest.outputs[f"quarantine/{raw.table}"].rows == 0 and decisions.is_empty():
            continue
        rows = quarantined(lake, raw, manifest.day).select(*raw.primary_key, "reasons").collect()
        applied, today = manifest.counts.get(APPLIED, 0), datetime.now(UTC).date()
        found += states(rows, raw, decisions, day=manifest.day, applied=applied, today=today)
    return found
