"""What Dagster recorded about a run's steps and dbt models: times by zone, rows by phase."""

from datetime import UTC, datetime, timedelta
from typing import Final, cast

import dagster as dg

from payments_platform.operations.phases import Phase, StepTime, phase_of
from payments_platform.vocabulary import DBT_ZONES, ZONES, Zone

# The metadata that dagster-dbt leaves on each model it built.
_DBT_SECONDS: Final = "Execution Duration"
_ROW_COUNT: Final = "dagster/partition_row_count"


def steps_of(instance: dg.DagsterInstance, run_id: str) -> tuple[list[StepTime], datetime]:
    """The finished steps and dbt models of a run with their zones, and when its first step began."""
    steps = []
    for step in instance.get_run_step_stats(run_id):
        zone = step.step_key.split("_")[0]
        if zone in ZONES and step.start_time and step.end_time:
            began, ended = (datetime.fromtimestamp(at, UTC) for at in (step.start_time, step.end_time))
            steps.append(StepTime(cast("Zone", zone), began, ended))
    models = _models(instance, run_id)
    began = min((step.started_at for step in steps), default=datetime.now(UTC))
    return steps + models, began


def rows_of(instance: dg.DagsterInstance, run_id: str) -> dict[Phase, int]:
    """Rows that the tables of each phase got, by what they said of each day. The models say nothing of theirs."""
    counts: dict[Phase, int] = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = entry.asset_materialization
        if made is None or _ROW_COUNT not in made.metadata:
            continue
        phase = phase_of(cast("Zone", made.asset_key.path[0]))
        if phase is not None:
            counts[phase] = counts.get(phase, 0) + int(cast("int", made.metadata[_ROW_COUNT].value))
    return counts


def _models(instance: dg.DagsterInstance, run_id: str) -> list[StepTime]:
    """One time per dbt model: the step that builds them all says nothing about each."""
    found = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = entry.asset_materialization
        if made is None or made.asset_key.path[0] not in DBT_ZONES or _DBT_SECONDS not in made.metadata:
            continue
        seconds = float(cast("float", made.metadata[_DBT_SECONDS].value))
        ended = datetime.fromtimestamp(entry.timestamp, UTC)
        zone = cast("Zone", made.asset_key.path[0])
        found.append(StepTime(zone, ended - timedelta(seconds=seconds), ended))
    return found
