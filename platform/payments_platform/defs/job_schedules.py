"""When the five jobs run: a schedule at the promised time, and a sensor for what is due, missing and can be made.

Belongs here: asking for runs. Does not: which are due (operations/due_runs.py), what is there (_platform/job_facts.py).
A schedule asks in its own minutes alone and the sensor after them, so that no partition is asked for twice. See
ADR 0036.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import dagster as dg

from payments_platform.contracts.due import Due, Partition, Period
from payments_platform.defs._platform.job_facts import attempts_of, first_of, reach_of, work_of
from payments_platform.defs._platform.partitions import RANGE_END, RANGE_START, SINGLE
from payments_platform.defs._platform.resources import CLOCK, LAKE, WAREHOUSE
from payments_platform.defs.jobs import SELECTED
from payments_platform.operations.due_runs import Attempt, DueRun, due_runs
from payments_platform.operations.job_terms import JobTerms
from payments_platform.settings import load_settings

# A tick that comes later than this leaves its partition to the sensor, which looks at all that were missed at once.
GRACE: Final = timedelta(minutes=15)
# No run is given longer than a day, however many partitions it takes.
_LONGEST_RUN: Final = timedelta(days=1)
_IN_A_RUN: Final[dict[Period, int]] = {"hour": 24, "day": load_settings().days_per_run, "week": 1, "month": 1}


def automations(assets: Iterable[Any]) -> dg.Definitions:
    """The schedules and sensors of every job that selects an asset; a job that selects none has none."""
    made = [it for it in assets if isinstance(it, dg.AssetsDefinition)]
    filled = [terms for terms, selection in SELECTED.items() if selection.resolve(made)]
    return dg.Definitions(
        schedules=[schedule_of(terms) for terms in filled if terms.cron],
        sensors=[sensor_of(terms) for terms in filled],
    )


def schedule_of(terms: JobTerms) -> dg.ScheduleDefinition:
    """The schedule that asks for the partition that has just ended."""
    if terms.cron is None:
        raise ValueError(f"{terms.name} follows data and not a clock")
    is_automatic = load_settings().environment in terms.starts_in

    @dg.schedule(
        name=f"{terms.name}_schedule",
        job_name=terms.name,
        cron_schedule=terms.cron,
        execution_timezone="UTC",
        description=f"Asks for {terms.makes}: {terms.when}.",
        default_status=dg.DefaultScheduleStatus.RUNNING if is_automatic else dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys={CLOCK},
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Ask, unless the tick is late or the partition is being made."""
        struck, now = context.scheduled_execution_time, context.resources.clock()
        if now - struck >= GRACE:
            return dg.SkipReason(f"the tick of {struck:%Y-%m-%d %H:%M} UTC comes late; the sensor asks for what is due")
        partition = partition_of(terms, struck)
        attempts = _attempts(context.instance, context.repository_def, terms, now)
        if any(partition.start in it.starts and it.state == "under way" for it, _ in attempts):
            return dg.SkipReason(f"a run is at work on {partition.key}")
        return request(terms, DueRun(partition, partition, 1, 0))

    return schedule


def partition_of(terms: JobTerms, struck: datetime) -> Partition:
    """The partition that had ended when the clock struck."""
    return Due(terms.period, terms.begins).partition_at(struck - terms.begins - timedelta(microseconds=1))


def sensor_of(terms: JobTerms) -> dg.SensorDefinition:
    """The sensor that asks for what no schedule asked for: missed, failed once, or made from other data."""
    is_automatic = load_settings().environment in terms.starts_in

    @dg.sensor(
        name=f"{terms.name}_when_due",
        job_name=terms.name,
        description=f"Asks for {terms.makes} that is due, is not there and can be made; oldest first, few at once.",
        default_status=dg.DefaultSensorStatus.RUNNING if is_automatic else dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=60,
        required_resource_keys={LAKE, WAREHOUSE, CLOCK},
    )
    def sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """Look once."""
        now, lake = context.resources.clock(), context.resources.lake
        attempts = _attempts(context.instance, context.repository_def, terms, now)
        reach = reach_of(_known(context.repository_def), terms.name)
        work = work_of(terms, reach, attempts, lake, context.resources.warehouse, now)
        grace = GRACE if terms.cron else timedelta()
        tried, size = [it for it, _ in attempts], _IN_A_RUN[terms.period]
        asked = due_runs(work, tried, now, first=first_of(lake), size=size, grace=grace)
        yield from (request(terms, it) for it in asked)
        if not asked:
            yield dg.SkipReason("nothing that is due and can be made is missing, or a run is at work on it")

    return sensor


def request(terms: JobTerms, run: DueRun) -> dg.RunRequest:
    """The request of one run. A run of many partitions is given the time of as many, up to a day."""
    days = {SINGLE: run.first.key} if run.count == 1 else {RANGE_START: run.first.key, RANGE_END: run.last.key}
    limit = min(terms.limit * run.count, max(_LONGEST_RUN, terms.limit))
    return dg.RunRequest(run_key=run.key, tags=days | {"dagster/max_runtime": str(int(limit.total_seconds()))})


def _attempts(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition | None, terms: JobTerms, now: datetime
) -> list[tuple[Attempt, bool]]:
    return attempts_of(instance, _known(repository), terms, now)


def _known(repository: dg.RepositoryDefinition | None) -> dg.RepositoryDefinition:
    if repository is None:
        raise dg.DagsterInvariantViolationError("whoever asks for runs needs the definitions that it is part of")
    return repository
