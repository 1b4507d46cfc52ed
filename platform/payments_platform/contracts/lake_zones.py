"""The lake datasets of a captured table, raw to curated, from one description of its columns and rules.

Belongs here: what is the same for every captured table: keys, grains, retention, which columns a source may leave
empty. Does not: columns and rules of a domain (its file).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset, Rule, loosened, pick
from payments_platform.contracts.rules import reference_rules, values_present
from payments_platform.vocabulary import Domain, Zone

RAW_RETENTION: Final = timedelta(days=90)
CLEAN_RETENTION: Final = timedelta(days=365)
CURATED_RETENTION: Final = timedelta(days=7 * 365 + 2)


@dataclass(frozen=True)
class LakeZones:
    """One table in the lake: as delivered, as judged (good, bad), as conformed."""

    raw: Dataset
    clean: Dataset
    quarantine: Dataset
    curated: Dataset

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The four, in the order the data walks."""
        return (self.raw, self.clean, self.quarantine, self.curated)


@dataclass(frozen=True)
class CapturedTable:
    """A table of the source whose every change is captured.

    ``entity`` is what one of its rows is, as people say it with its article. ``columns`` are those of its history,
    strict: raw and quarantine loosen all but the key, the position, op and updated_at. ``keeps_history`` keeps every
    good version of a day instead of the last one: a dimension with history, or a proof of what held when, reads it.
    ``certain`` names columns beyond those that the source never leaves empty. ``fixed`` names those that the source
    never changes in a row's life: with the key and the position they are what a delete must say; its other values may
    be null, when they broke a rule.
    """

    table: str
    entity: str
    domain: Domain
    columns: tuple[Column, ...]
    key: str
    rules: tuple[Rule, ...]
    keeps_history: bool = False
    sums: tuple[str, str] | None = None
    certain: str = ""
    fixed: str = ""

    def lake_zones(self, curated_columns: Sequence[Column], *, curated_key: str | None = None, note: str) -> LakeZones:
        """The four datasets; ``note`` ends curated's grain, ``curated_key`` replaces a key that must stay behind."""
        identity = f"{self.key} epoch version op created_at updated_at {self.fixed}"
        own, kept = {column.name for column in self.columns}, set(identity.split())
        derived = " ".join(column.name for column in curated_columns if column.name not in own)
        values = [column.name for column in curated_columns if column.name in own - kept and not column.nullable]
        raw_columns = loosened(self.columns, keep=f"{self.key} epoch version op updated_at {self.certain}")
        plain, versioned = self._clean_grain()
        suffix = ("version",) if self.keeps_history else ()
        return LakeZones(
            raw=self._dataset(
                "raw",
                f"One row per version of {self.entity} written at the source on the day.",
                raw_columns,
                (self.key, "version"),
                RAW_RETENTION,
            ),
            clean=self._dataset(
                "clean",
                versioned if self.keeps_history else f"{plain}, in its last good state of that day.",
                (*loosened(self.columns, keep=identity), c.IS_RELEASED),
                (self.key, *suffix),
                CLEAN_RETENTION,
                rules=(*self.rules, *reference_rules(self.columns)),
                identity=tuple(identity.split()),
                keeps_history=self.keeps_history,
            ),
            quarantine=self._dataset(
                "quarantine",
                f"One row per version of {self.entity} that broke a rule on the day.",
                (*raw_columns, c.REASONS),
                (self.key, "version"),
                RAW_RETENTION,
            ),
            curated=self._dataset(
                "curated",
                f"{versioned.rstrip('.') if self.keeps_history else plain}, {note}.",
                loosened(curated_columns, keep=f"{identity} {derived}"),
                (curated_key or self.key, *suffix),
                CURATED_RETENTION,
                rules=(values_present(*values),),
                keeps_history=self.keeps_history,
            ),
        )

    def _clean_grain(self) -> tuple[str, str]:
        thing = self.entity.partition(" ")[2]
        return (
            f"One row per {thing} changed on the day",
            f"One row per good version of {self.entity} written on the day.",
        )

    def _dataset(
        self,
        zone: Zone,
        grain: str,
        columns: tuple[Column, ...],
        primary_key: tuple[str, ...],
        retention: timedelta,
        *,
        rules: tuple[Rule, ...] = (),
        keeps_history: bool = False,
        identity: tuple[str, ...] = (),
    ) -> Dataset:
        return Dataset(
            key=(zone, self.table),
            grain=grain,
            domain=self.domain,
            columns=columns,
            primary_key=primary_key,
            rules=rules,
            retention=retention,
            sums=self.sums,
            keeps_history=keeps_history,
            identity=identity,
        )


def curated_columns(columns: Sequence[Column], names: str) -> tuple[Column, ...]:
    """Columns that curated keeps, followed by what every curated dataset has: is_deleted, created_at, updated_at."""
    return (*pick(columns, names), c.IS_DELETED, c.CREATED_AT, c.UPDATED_AT)
