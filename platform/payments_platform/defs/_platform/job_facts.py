"""What the choice of due runs is made from: what a job makes and reads, what of it is there, which runs there were.

Belongs here: reading the graph, the instance and the record of landings. Does not: the choice (operations/due_runs.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import dagster as dg

from payments_platform.contracts.catalogue import DATASETS, of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.due import Due
from payments_platform.defs._platform.at_work import at_work_on, made_by
from payments_platform.defs._platform.partitions import RANGE_END, RANGE_START, SINGLE
from payments_platform.lake.partitions import Lake
from payments_platform.operations.due_runs import Attempt, RunState, Work, begun
from payments_platform.operations.evidence import days_looked_at, facts, first_owed
from payments_platform.operations.freshness import LOOKBACK, Landed
from payments_platform.operations.job_terms import JobTerms
from payments_platform.settings import load_settings
from payments_platform.vocabulary import DBT_ZONES, LAKE_ZONES, days_between
from payments_platform.warehouse.protocol import Warehouse

_OVER: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
# Their partitions are there when a manifest or the warehouse's record says so; of others a run's success says it.
_RECORDED: Final = frozenset({*LAKE_ZONES, *DBT_ZONES, "landing"})


@dataclass(frozen=True)
class Reach:
    """The datasets that a job makes and those of others that it reads, of those that can be late by partition."""

    makes: tuple[Dataset, ...]
    reads: tuple[Dataset, ...]


def reach_of(repository: dg.RepositoryDefinition, job_name: str) -> Reach:
    """What a job makes and reads, by the graph: nobody has to keep a list of what a job waits for."""
    graph = repository.asset_graph
    made = made_by(repository, job_name)
    read = {parent for key in made for parent in graph.get(key).parent_keys} - made
    return Reach(tuple(_due_datasets(made)), tuple(_due_datasets(read)))


def _due_datasets(keys: Iterable[dg.AssetKey]) -> Iterator[Dataset]:
    for key in sorted(keys):
        found = DATASETS.get(key.to_user_string())
        if found is not None and isinstance(found.deadline, Due):
            yield found


def first_of(lake: Lake) -> date:
    """The first day that is owed in this environment; where none is, that of the settings: a person began the job."""
    settings = load_settings()
    first = first_owed(settings.environment, settings.first_partition, lake, of_zone("raw"))
    return first or settings.first_partition


def work_of(
    terms: JobTerms,
    reach: Reach,
    attempts: Sequence[tuple[Attempt, bool]],
    lake: Lake,
    warehouse: Warehouse,
    now: datetime,
) -> Work:
    """The job's datasets with what of them is there, as far back as its oldest partition goes."""
    due = Due(terms.period, terms.begins, terms.begins)
    looked_at, owed = days_looked_at(now), begun(due, now, first=first_of(lake))
    if owed:
        looked_at = days_between(min(looked_at[0], owed[0].start.date()), looked_at[-1] + timedelta(days=1))
    known = facts([*reach.makes, *reach.reads], {}, lake, warehouse.load_times(), looked_at)
    by_name = {it.dataset: it for it in known}
    succeeded = {start: Landed(it.at, it.at) for it, is_success in attempts if is_success for start in it.starts}
    makes = tuple(
        by_name[it.name] if it.zone in _RECORDED else replace(by_name[it.name], landed=succeeded) for it in reach.makes
    )
    return Work(due, makes, tuple(by_name[it.name] for it in reach.reads))


def attempts_of(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, terms: JobTerms, now: datetime
) -> list[tuple[Attempt, bool]]:
    """Runs that are under way and make any of the job's datasets, whoever started them; the job's own that ended.

    Beside each, whether it succeeded.
    """
    # Asked first: a run that ends meanwhile is found twice, and not missed.
    active = list(at_work_on(instance, repository, made_by(repository, terms.name)))
    since = now - LOOKBACK - timedelta(days=31)
    over = instance.get_run_records(filters=dg.RunsFilter(job_name=terms.name, statuses=_OVER, updated_after=since))
    return [(_attempt(terms, it), it.dagster_run.is_success) for it in (*active, *over)]


def _attempt(terms: JobTerms, record: Any) -> Attempt:  # noqa: ANN401 - RunRecord, which Dagster exports not
    run: dg.DagsterRun = record.dagster_run
    state: RunState = "under way"
    if run.status in _OVER:
        state = "cancelled" if run.status is dg.DagsterRunStatus.CANCELED else "ended"
    at = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
    return Attempt(frozenset(_starts(terms, run)), state, at, is_own=run.job_name == terms.name)


def _starts(terms: JobTerms, run: dg.DagsterRun) -> Iterator[datetime]:
    """The starts of the job's partitions that a run covers; none for a run of partitions of another kind."""
    tags = run.tags
    first, last = (tags.get(tag, tags.get(SINGLE, "")) for tag in (RANGE_START, RANGE_END))
    due = Due(terms.period, timedelta())
    try:
        found, end = due.parsed(first), due.parsed(last)
    except ValueError:
        return
    while found.start <= end.start:
        yield found.start
        found = due.partition_at(found.end)
