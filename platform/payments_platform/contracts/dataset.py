"""What a contract is made of: Dataset, Column, Rule and their closed lists.

Belongs here: the plain frozen dataclasses that every contract uses and what follows from them alone. Does not: any
dataset (one file per domain beside this one), validation engines (pandera_schema.py), logic on data (batch/).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from hashlib import sha256
from typing import Any

import narwhals as nw
import polars as pl

from payments_platform.contracts.due import DEADLINE_OF_ZONE, Deadline
from payments_platform.vocabulary import COLUMN_NAME, AssetPath, Domain, asset_path


class Pii(Enum):
    """How close a column is to a person; erasure and retention are driven by it."""

    NONE = "none"
    PSEUDONYM = "pseudonym"
    PERSONAL = "personal"
    FREE_TEXT = "free_text"


class Severity(Enum):
    """What a broken rule does: ROW quarantines the row, PARTITION fails the day, WARN is reported."""

    ROW = "row"
    PARTITION = "partition"
    WARN = "warn"


@dataclass(frozen=True)
class Column:
    """One column: name, Polars type, meaning, unit, closeness to a person, and a value that a sample row carries."""

    name: str
    dtype: pl.DataType
    description: str
    example: Any = None
    nullable: bool = False
    unit: str | None = None
    pii: Pii = Pii.NONE

    def loose(self) -> "Column":
        """The same column as a source may deliver it: null allowed."""
        return replace(self, nullable=True)

    def firm(self) -> "Column":
        """The same column where it always has a value."""
        return replace(self, nullable=False)


@dataclass(frozen=True)
class Rule:
    """A quality rule. ``holds`` is true for a good row; null counts as good, so that each rule judges one thing.

    ``judges_deletes``: it is about identity or order, which a delete must have too. The others are about values, and a
    delete passes them: were it held back for its last values, the deleted entity would live on for ever.
    ``closed_list`` is the column that the rule holds to a list, and the list: what a day's mix is counted over.
    ``is_releasable``: a person may accept a row that breaks it, for no later table would break on the row.
    """

    id: str
    severity: Severity
    reason: str
    holds: nw.Expr = field(compare=False, repr=False)
    judges_deletes: bool = False
    closed_list: tuple[str, tuple[str, ...]] | None = None
    is_releasable: bool = False

    def of_deletes(self) -> "Rule":
        """The same rule, judging deletes too."""
        return replace(self, judges_deletes=True)

    def releasable(self) -> "Rule":
        """The same rule, about what is plausible: a person who knows better may let a row pass it."""
        return replace(self, is_releasable=True)


@dataclass(frozen=True)
class PartitionRule:
    """A rule that a day satisfies or breaks as a whole; its judge lives with the figures that it compares (batch/)."""

    id: str
    reason: str
    severity: Severity = Severity.PARTITION


@dataclass(frozen=True)
class Dataset:
    """The one description of a dataset, from which schemas, checks, dbt columns and catalogue pages are derived.

    ``sums`` names the (amount, currency) columns whose totals are reconciled. ``keeps_history`` datasets feed a
    slowly changing dimension: every good version stays. ``max_bad_ratio`` is the share of quarantined rows above
    which the whole day fails, once they are more than ``tolerated_bad_rows`` (a table of six rows a day must not fail
    for one). ``retention`` None keeps for ever. ``identity`` names what a delete carries whatever its values are; ()
    for what the source does not delete. ``is_hourly``: partitions are the hours in which messages were appended.
    ``due`` is given where the deadline is another than the zone's.
    """

    key: AssetPath
    grain: str
    domain: Domain
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    retention: timedelta | None = None
    is_daily: bool = True
    is_hourly: bool = False
    sums: tuple[str, str] | None = None
    keeps_history: bool = False
    max_bad_ratio: float = 0.05
    tolerated_bad_rows: int = 20
    identity: tuple[str, ...] = ()
    due: Deadline | None = None

    def __post_init__(self) -> None:
        """Refuse a contract that contradicts itself, at import, where the author sees it."""
        asset_path(*self.key)
        names = self.names
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a column is described twice")
        for name in names:
            if not COLUMN_NAME.fullmatch(name):
                raise ValueError(f"{self.name}: column {name!r} is not lower_snake_case")
        for name in (*self.primary_key, *(self.sums or ()), *self.identity):
            if name not in names:
                raise ValueError(f"{self.name}: {name!r} is no column")

    @property
    def name(self) -> str:
        """The asset key as text, ``zone/dataset``."""
        return "/".join(self.key)

    @property
    def zone(self) -> str:
        """First part of the key."""
        return self.key[0]

    @property
    def table(self) -> str:
        """Second part of the key."""
        return self.key[1]

    @property
    def deadline(self) -> Deadline:
        """When it is due: as it says itself, else as its zone does."""
        return self.due or DEADLINE_OF_ZONE[self.key[0]]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in contract order."""
        return tuple(column.name for column in self.columns)

    @property
    def schema(self) -> pl.Schema:
        """Polars (and by conversion Arrow and Parquet) schema, in contract order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def fingerprint(self) -> str:
        """Changes when what the contract demands changes: columns, types, nulls, key, or what a rule says of itself."""
        columns = [(column.name, str(column.dtype), column.nullable) for column in self.columns]
        rules = [(rule.id, rule.severity.value, rule.reason) for rule in self.rules]
        return sha256(repr((columns, self.primary_key, rules)).encode()).hexdigest()[:16]

    @property
    def row_rules(self) -> tuple[Rule, ...]:
        """The rules that send a row to quarantine, in order."""
        return tuple(rule for rule in self.rules if rule.severity is Severity.ROW)

    @property
    def warn_rules(self) -> tuple[Rule, ...]:
        """The rules whose broken rows stay clean and are counted, in order."""
        return tuple(rule for rule in self.rules if rule.severity is Severity.WARN)

    @property
    def closed_lists(self) -> dict[str, tuple[str, ...]]:
        """Columns whose values come from a list, and the list."""
        return dict(rule.closed_list for rule in self.rules if rule.closed_list)

    def column(self, name: str) -> Column:
        """One column by name. Raises KeyError naming dataset and column."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")


def pick(columns: Sequence[Column], names: str) -> tuple[Column, ...]:
    """Columns by space-separated names, in that order: a derived dataset describes no column again."""
    by_name = {column.name: column for column in columns}
    return tuple(by_name[name] for name in names.split())


def loosened(columns: Sequence[Column], keep: str) -> tuple[Column, ...]:
    """Columns as a source may deliver them: all nullable but those named in ``keep``."""
    kept = set(keep.split())
    return tuple(column if column.name in kept else column.loose() for column in columns)


def firm(columns: Sequence[Column], names: str) -> tuple[Column, ...]:
    """Columns of which those named always have a value."""
    fixed = set(names.split())
    return tuple(column.firm() if column.name in fixed else column for column in columns)
