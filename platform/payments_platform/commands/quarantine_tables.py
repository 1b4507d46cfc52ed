"""The tables and records that `payments quarantine list` prints.

Belongs here: one row's record, counts, the list. Does not: finding rows (quarantined_rows.py).
"""

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from payments_platform.batch.repairs import RowState


def record(row: "RowState") -> dict[str, Any]:
    """A row for scripts."""
    return {
        "table": row.table,
        "day": str(row.day),
        "row": f"{row.key}/{row.version}",
        "rules": [rule for rule in row.reasons.split(",") if rule],
        "state": row.state,
        "is_applied": row.is_applied,
        "age_days": row.age_days,
    }


def counted(rows: "list[RowState]") -> Table:
    """How many rows broke each rule, by state, and the age of the oldest."""
    counts: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        for rule in row.reasons.split(","):
            counts.setdefault((row.table, rule, row.state), []).append(row.age_days)
    table = Table("table", "rule", "state", "rows", "oldest, days", title=f"{len(rows):,} rows")
    for (name, rule, state), ages in sorted(counts.items()):
        table.add_row(name, rule or "none any more", state, f"{len(ages):,}", f"{max(ages)}")
    return table


def listed(rows: "list[RowState]") -> Table:
    """One line a row."""
    table = Table("table", "day", "row", "rules", "state", "age, days")
    for row in rows:
        # A discarded row without a broken rule came back by an earlier decision, and is out again with the next run.
        is_effective = row.state in {"repaired", "released"} or (row.state == "discarded" and not row.reasons)
        waits = is_effective and not row.is_applied
        state = f"{row.state}, from the next run" if waits else row.state
        table.add_row(row.table, str(row.day), Text(f"{row.key}/{row.version}"), row.reasons, state, f"{row.age_days}")
    return table
