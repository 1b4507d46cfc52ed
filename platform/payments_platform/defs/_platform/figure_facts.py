"""Everything that figures are computed from: what the lake keeps, and Dagster's instance for days nobody kept yet.

Belongs here: which of the two is asked for which day. Does not: reading either, any figure.
"""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl

from payments_platform.contracts.catalogue import WATCHED
from payments_platform.contracts.figures import RUN_RECORDS, TICK_RECORDS
from payments_platform.defs._platform.instance_records import Rows, first_run_at, run_records
from payments_platform.defs._platform.instance_ticks import ticks_of
from payments_platform.lake.partitions import Lake
from payments_platform.operations.evidence import facts
from payments_platform.operations.figures.catalogue import BASELINE_DAYS
from payments_platform.operations.figures.periods import Span
from payments_platform.operations.figures.register import PROMISED_ZONES, MonthFacts, service_levels
from payments_platform.operations.figures.stored import kept, lost_rows, phase_times
from payments_platform.operations.figures.weekly import weekly_figures
from payments_platform.vocabulary import days_between
from payments_platform.warehouse.protocol import Warehouse

_DAY = timedelta(days=1)


@dataclass
class FigureFacts:
    """The places that figures are read from. ``known`` keeps runs that were read, for a caller that looks often."""

    instance: dg.DagsterInstance
    lake: Lake
    warehouse: Warehouse
    known: MutableMapping[str, Rows] = field(default_factory=dict)

    def week(self, week: Span, now: datetime, until: datetime | None = None) -> pl.DataFrame:
        """The figures of a week, up to ``until`` (now, if it is not given), of what is known ``now``."""
        ends = min(until or now, now)
        first = week.first - timedelta(days=BASELINE_DAYS)
        runs = self._runs(days_between(first, week.end), ends)
        return weekly_figures(runs, self._ticks(week.days, ends, now), phase_times(self.lake, week), week, ends)

    def month(self, month: Span, now: datetime) -> pl.DataFrame:
        """The register of a month, up to ``now``."""
        promised = [it for it in WATCHED if it.zone in PROMISED_ZONES]
        watched = facts(promised, {}, self.lake, self.warehouse.load_times(), month.days)
        runs = self._runs(month.days, now)
        found = MonthFacts(runs, watched, lost_rows(self.lake, month.days), since=self._since(runs))
        return service_levels(found, month, now)

    def _since(self, runs: pl.DataFrame) -> datetime | None:
        """The first run there was: removing old runs from the instance must take no late day out of the register."""
        kept: list[datetime] = runs["created_at"].drop_nulls().to_list()
        first = first_run_at(self.instance)
        return min([*kept, *([first] if first else [])], default=None)

    def _runs(self, days: Sequence[date], now: datetime) -> pl.DataFrame:
        """The records of days; a day that is not over is never kept whole."""
        found, missing = kept(self.lake, RUN_RECORDS, [day for day in days if day < now.date()])
        missing += [day for day in days if day == now.date()]
        if not missing:
            return found
        asked = run_records(self.instance, min(missing), max(missing) + _DAY, now, self.known)
        return pl.concat([found, asked.filter(pl.col("partition_date").is_in(missing))])

    def _ticks(self, days: Sequence[date], until: datetime, now: datetime) -> pl.DataFrame:
        found, missing = kept(self.lake, TICK_RECORDS, [day for day in days if day < until.date()])
        missing += [day for day in days if day == until.date()]
        asked = [ticks_of(self.instance, _whole(day), until, now) for day in missing]
        return pl.concat([found, *asked])


def _whole(day: date) -> Span:
    return Span(day, day + _DAY, day.isoformat())
