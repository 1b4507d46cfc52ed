"""``on_time``: one check per dataset that says whether it is late, kept by a sensor that starts no run.

Belongs here: the check, the sensor, what is said again and when. Does not: what late means (operations/freshness.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from payments_platform.contracts.catalogue import WATCHED, dataset, of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.due import MaxAge
from payments_platform.contracts.operations import STREAM_RECONCILIATION
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.resources import LAKE, WAREHOUSE
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs.jobs import ON_TIME
from payments_platform.lake.partitions import Lake
from payments_platform.lake.segments import first_day
from payments_platform.operations.evidence import days_looked_at, facts, first_owed
from payments_platform.operations.freshness import Freshness, Watched, evaluate
from payments_platform.operations.job_terms import AUTOMATIC
from payments_platform.operations.on_time import Said, to_say
from payments_platform.settings import load_settings
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, DBT_ZONES
from payments_platform.warehouse.protocol import Warehouse


def freshness_now(
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    lake: Lake,
    warehouse: Warehouse,
    now: datetime,
) -> list[Freshness]:
    """The state of every watched dataset at a given time, from what is there now."""
    watched = watched_of(repository, lake, warehouse, now, newest=newest_of(instance))
    return freshness_of(watched, lake, now)


def watched_of(
    repository: dg.RepositoryDefinition,
    lake: Lake,
    warehouse: Warehouse,
    now: datetime,
    *,
    newest: Mapping[str, datetime | None],
) -> list[Watched]:
    """What is known of every watched dataset; what it reads is taken from the graph.

    The reconciliation of the stream is left out where nothing starts it by itself.
    """
    watched = [it for it in WATCHED if it != STREAM_RECONCILIATION or AUTOMATIC[load_settings().environment]]
    reads = {it.name: _reads(repository, it) for it in watched}
    # Before the stream's first day there is nothing to compare.
    began = first_day(lake.storage, ANALYTICS_TRANSACTIONS)
    owed_from = {STREAM_RECONCILIATION.name: began} if began else {}
    looked_at = days_looked_at(now, [it.deadline for it in WATCHED])
    loads = warehouse.load_times()
    return facts(watched, reads, lake, loads, looked_at, newest=newest, now=now, owed_from=owed_from)


def newest_of(instance: dg.DagsterInstance) -> dict[str, datetime | None]:
    """When each stream was last seen to move, as the sensors that look at them have told.

    Where automation runs, a stream that was never seen counts as one without data; elsewhere nobody has started it.
    """
    seen = {it.name: _last_seen(instance, key_of(it)) for it in WATCHED if isinstance(it.deadline, MaxAge)}
    is_owed = AUTOMATIC[load_settings().environment]
    return {name: at for name, at in seen.items() if at is not None or is_owed}


def _last_seen(instance: dg.DagsterInstance, key: dg.AssetKey) -> datetime | None:
    found = (*instance.fetch_materializations(key, limit=1).records, *instance.fetch_observations(key, limit=1).records)
    return max((datetime.fromtimestamp(record.timestamp, UTC) for record in found), default=None)


def freshness_of(watched: Sequence[Watched], lake: Lake, now: datetime) -> list[Freshness]:
    """The judgement, from the first day on that is owed in this environment."""
    settings = load_settings()
    first = first_owed(settings.environment, settings.first_partition, lake, of_zone("raw"))
    return evaluate(watched, now, first=first or date.max)


def _reads(repository: dg.RepositoryDefinition, of: Dataset) -> list[str]:
    """What a dataset waits for: its parents in the graph; of a calendar that reads nothing, what a build covers."""
    parents = [key.to_user_string() for key in repository.asset_graph.get(key_of(of)).parent_keys]
    return parents or [landing.name for landing in of_zone("landing") if of.zone in DBT_ZONES]


def evaluation(found: Freshness) -> dg.AssetCheckEvaluation:
    """What the asset graph shows: late is an error, bound to be late a warning."""
    times = {"since": found.since, "due_at": found.due_at, "next_due": found.next_due}
    return dg.AssetCheckEvaluation(
        asset_key=key_of(dataset(found.dataset)),
        check_name=ON_TIME,
        passed=found.state == "PASS",
        severity=dg.AssetCheckSeverity.WARN if found.state == "WARN" else dg.AssetCheckSeverity.ERROR,
        description=found.reason,
        metadata={
            **{name: dg.MetadataValue.timestamp(it) for name, it in times.items() if it is not None},
            "state": found.state,
            "owner": found.owner,
            "missing": found.missing or "",
            "missing_count": found.missing_count,
            "causes": ", ".join(found.causes),
        },
    )


@dg.multi_asset_check(
    name="on_time_checks",
    specs=[
        dg.AssetCheckSpec(ON_TIME, asset=key_of(it), description="No partition that is due is missing.")
        for it in WATCHED
    ],
    can_subset=True,
    required_resource_keys={LAKE, WAREHOUSE},
    retry_policy=RETRY,
    op_tags={"zone": "operations"},
)
@explained
def on_time_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Look now, when a person asks; the sensor looks all the time."""
    repository, instance = context.repository_def, context.instance
    lake, warehouse = context.resources.lake, context.resources.warehouse
    for found in freshness_now(repository, instance, lake, warehouse, datetime.now(UTC)):
        it = evaluation(found)
        if it.asset_check_key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=it.asset_key,
                check_name=it.check_name,
                passed=it.passed,
                severity=it.severity,
                description=it.description,
                metadata=it.metadata,
            )


@dg.sensor(
    name="freshness",
    description="Says of each dataset whether it is on time, when that changes, and now and then; starts no run.",
    default_status=(
        dg.DefaultSensorStatus.RUNNING if AUTOMATIC[load_settings().environment] else dg.DefaultSensorStatus.STOPPED
    ),
    minimum_interval_seconds=30,
)
def freshness(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
) -> dg.SensorResult:
    """Compare what is true now with what was said last."""
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("the sensor needs the definitions that it is part of")
    said = Said.from_json(context.cursor)
    now = said.steady(datetime.now(UTC))
    found = freshness_now(context.repository_def, context.instance, lake, warehouse, now)
    chosen = to_say(found, said, now)
    return dg.SensorResult(
        asset_events=[evaluation(it) for it in chosen], cursor=said.after(chosen, found, now).to_json()
    )
