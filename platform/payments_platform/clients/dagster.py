"""The Dagster instance of the stack, for commands that run jobs in their own process.

Belongs here: opening the instance, running a job with its events recorded there, ending the runs of processes that
were killed. Does not: which jobs exist (defs/).
"""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import dagster as dg

from payments_platform.clients.postgres import connect
from payments_platform.errors import ExplainedError
from payments_platform.settings import Settings

Tags = Mapping[str, str]
# Which process runs a run of ours: host, process id and its start, because ids are used again.
PROCESS_TAG: Final = "payments/process"
# A clock that is set moves what the system says of a process's start; ids come round again much later than this.
_CLOCK_SHIFT_SECONDS: Final = 60
_UNFINISHED: Final = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: its id, whether all its steps and blocking checks passed, and what failed, in plain words.

    ``warnings`` are what checks noticed that stop nothing.
    """

    run_id: str
    is_success: bool
    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class RecordsAway(ExplainedError):
    """The database of Dagster's records does not answer. Transient: it may be about to start."""

    error_class = "transient"


@contextmanager
def instance_of(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the stack's instance to run something. Raises SettingMissing before the first ``up``.

    Runs whose process was killed end here: what they held would block the next run.
    """
    with records_of(settings) as instance:
        fail_dead_runs(instance)
        yield instance


@contextmanager
def records_of(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the stack's instance, the one that the web server shows, to read it. Changes nothing there.

    Raises SettingMissing before the first ``up``, RecordsAway when the database of the records does not answer.
    """
    settings.export()
    _require_records(settings)
    with dg.DagsterInstance.get() as instance:
        yield instance


def _require_records(settings: Settings) -> None:
    """Ask once: Dagster itself asks again for half a minute and then shows all of its own calls."""
    import psycopg

    address = settings.postgres("platform", "dagster")
    try:
        connect(address, name="payments-records").close()
    except psycopg.OperationalError as error:
        place = f"{address.host}:{address.port}"
        raise RecordsAway(f"Dagster's records at {place} do not answer: {error}\nStart them: payments up") from None


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs whose process on this host is gone as failed, and free their places in pools; return their ids.

    A killed process writes no end. Without this its run would be shown as running for ever, and the step that holds
    the warehouse's only place would keep every later run waiting.
    """
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    dead = [run for run in runs if PROCESS_TAG in run.tags and _is_gone(run.tags[PROCESS_TAG])]
    for run in dead:
        instance.report_run_failed(
            run, "The process of this run ended without a word (killed, or the machine stopped)."
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _this_process() -> str:
    import psutil

    return f"{platform.node()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def _is_gone(process: str) -> bool:
    """Whether the process of a tag ran on this host and is no more. Of another host nothing is known."""
    import psutil

    host, number, started = process.rsplit(":", 2)
    if host != platform.node():
        return False
    try:
        found = psutil.Process(int(number))
        return (
            found.status() == psutil.STATUS_ZOMBIE or abs(found.create_time() - float(started)) > _CLOCK_SHIFT_SECONDS
        )
    except psutil.NoSuchProcess:
        return True


def run_job(definitions: dg.Definitions, job_name: str, instance: dg.DagsterInstance, tags: Tags) -> RunOutcome:
    """Run a job here and now. Its events are recorded as they happen, so the UI shows it running.

    The daemon does not start it again when it dies: whoever typed the command does.
    """
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    marked = {**tags, PROCESS_TAG: _this_process(), "dagster/max_retries": "0"}
    job = definitions.resolve_job_def(job_name)
    result = job.execute_in_process(instance=instance, tags=marked, run_config=quiet, raise_on_error=False)
    problems = [_step_problem(event) for event in result.all_events if event.is_step_failure]
    noticed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    # A blocking check warns where days of a range failed and others did not: those days are a problem.
    failed = [check.blocking or check.severity is dg.AssetCheckSeverity.ERROR for check in noticed]
    problems += [_check_problem(check) for check, is_failed in zip(noticed, failed, strict=True) if is_failed]
    warnings = [_check_problem(check) for check, is_failed in zip(noticed, failed, strict=True) if not is_failed]
    return RunOutcome(result.run_id, result.success, tuple(problems), tuple(warnings))


def _check_problem(check: dg.AssetCheckEvaluation) -> str:
    return f"check {check.check_name} of {check.asset_key.to_user_string()}: {check.description or 'failed'}"


def _step_problem(event: dg.DagsterEvent) -> str:
    """The innermost text that a person can act on."""
    error = event.step_failure_data.error
    description = event.step_failure_data.user_failure_data
    if description is not None and description.description:
        return f"{event.step_key}: {description.description}"
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {error.message.strip() if error else 'failed'}"
