"""Runs under way: what they make, and that nobody builds a day that one of them is building.

Belongs here: reading these from the instance and the graph. Does not: which runs are due (operations/due_runs.py).
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Any, Final

import dagster as dg

from payments_platform.defs._platform.partitions import days_of
from payments_platform.errors import ExplainedError

_UNDER_WAY: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class DayAtWork(ExplainedError):
    """Another run builds one of these days, or waits to."""


def made_by(repository: dg.RepositoryDefinition, job_name: str) -> frozenset[dg.AssetKey]:
    """The assets that a run of a job makes."""
    return frozenset(repository.get_job(job_name).asset_layer.executable_asset_keys)


def at_work_on(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, made: AbstractSet[dg.AssetKey]
) -> Iterator[Any]:
    """The records of runs under way that make any of these assets, whoever started them."""
    for record in instance.get_run_records(filters=dg.RunsFilter(statuses=_UNDER_WAY)):
        run = record.dagster_run
        makes = run.asset_selection
        if makes is None:
            makes = made_by(repository, run.job_name) if repository.has_job(run.job_name) else frozenset()
        if makes & made:
            yield record


def refuse_at_work(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, job_name: str, tags: Mapping[str, str]
) -> None:
    """Raise DayAtWork when a run is building a day that a run of this job with these tags would build.

    Schedules leave to a person the days that she builds (job_schedules.py); this is the other way round.
    """
    wanted = _days(tags)
    for record in at_work_on(instance, repository, made_by(repository, job_name)) if wanted else ():
        run: dg.DagsterRun = record.dagster_run
        days = sorted(wanted & _days(run.tags))
        if days:
            raise DayAtWork(
                f"{days[0]} is being built by run {run.run_id[:8]} of {run.job_name} ({run.status.value.lower()})."
                " Wait until it has ended, or cancel it in the UI; then run the same command again."
            )


def _days(tags: Mapping[str, str]) -> set[date]:
    try:
        return set(days_of(tags))
    except ValueError:
        return set()
