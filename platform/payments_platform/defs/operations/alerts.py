"""The sensor that evaluates the alerts. Belongs here: what it is given. Does not: rules, states, messages."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

from payments_platform.defs._platform.figure_facts import FigureFacts
from payments_platform.defs._platform.instance_facts import automation_facts, run_facts
from payments_platform.defs.operations.on_time import freshness_now
from payments_platform.lake.partitions import Lake
from payments_platform.operations.alerts.run_sources import of_automation, of_runs
from payments_platform.operations.alerts.sources import of_freshness
from payments_platform.operations.figures.periods import month_of
from payments_platform.operations.figures.register import report_lines
from payments_platform.operations.job_terms import AUTOMATIC
from payments_platform.settings import Settings, load_settings
from payments_platform.warehouse.protocol import Warehouse

if TYPE_CHECKING:
    from payments_platform.operations.alerts.rules import SourceName
    from payments_platform.operations.alerts.sources import Source

NAME: Final = "alerts"


@dg.sensor(
    name=NAME,
    description="Evaluates the alert rules, and sends what opened or closed. Starts no run.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=15,
)
def alerts(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
) -> dg.SkipReason:
    """Evaluate once."""
    from payments_platform.operations.alerts.access import beat_if_asked, opened
    from payments_platform.operations.alerts.evaluation import evaluate

    settings, now = load_settings(), datetime.now(UTC)
    facts = FigureFacts(context.instance, lake, warehouse)
    sources = sources_of(context, settings, lake, warehouse)
    with opened(settings, sources, context.log.warning, lambda at: register_of(facts, at)) as alerting:
        done = evaluate(alerting, now)
    if done is None:
        return dg.SkipReason("another process evaluates")
    beat_if_asked(settings, done.memory, context.log.warning)
    unreadable = "".join(f"; {name} cannot be asked: {why}" for name, why in done.problems.items())
    undelivered = "".join(f"; not delivered: {it.error}" for it in done.tried if it.outcome == "waiting")
    return dg.SkipReason(f"{len(done.memory.open_alerts)} open{unreadable}{undelivered}")


def register_of(facts: FigureFacts, now: datetime) -> list[str]:
    """What the daily summary says of the service levels: those of the day before, so that a month's end is told too."""
    return report_lines(facts.month(month_of((now - timedelta(days=1)).date()), now))


def sources_of(
    context: dg.SensorEvaluationContext, settings: Settings, lake: Lake, warehouse: Warehouse
) -> "dict[SourceName, Source]":
    """What is asked in this environment.

    Where nothing starts by itself a day is late when a person has not built it: nobody is told, unless a setting asks.
    What was open then closes.
    """
    from payments_platform.operations.alerts.access import stream_sources

    instance, repository = context.instance, context.repository_def
    is_asked = settings.alert_on_freshness
    is_owed = AUTOMATIC[settings.environment] if is_asked is None else is_asked
    found: dict[SourceName, Source] = {
        "runs": lambda now: of_runs(run_facts(instance, now)),
        **stream_sources(settings),
    }
    if repository is not None:
        found["freshness"] = lambda now: (
            of_freshness(freshness_now(repository, instance, lake, warehouse, now), now) if is_owed else []
        )
        found["automation"] = lambda now: of_automation(automation_facts(instance, repository, besides=NAME), now)
    return found
