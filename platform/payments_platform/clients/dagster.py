"""The Dagster instance of the stack, for commands that run jobs in their own process.

Belongs here: opening the instance, running a job with its events recorded there. Does not: which jobs exist (defs/).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from payments_platform.settings import Settings

Tags = Mapping[str, str]


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: its id, whether all its steps and blocking checks passed, and what failed, in plain words."""

    run_id: str
    is_success: bool
    problems: tuple[str, ...]


@contextmanager
def instance_of(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the stack's instance, the one that the web server shows. Raises SettingMissing before the first ``up``."""
    settings.export()
    with dg.DagsterInstance.get() as instance:
        yield instance


def run_job(definitions: dg.Definitions, job_name: str, instance: dg.DagsterInstance, tags: Tags) -> RunOutcome:
    """Run a job here and now. Its events are recorded as they happen, so the UI shows it running."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = definitions.resolve_job_def(job_name)
    result = job.execute_in_process(instance=instance, tags=dict(tags), run_config=quiet, raise_on_error=False)
    problems = [_step_problem(event) for event in result.all_events if event.is_step_failure]
    problems += [
        f"check {check.check_name} of {check.asset_key.to_user_string()}: {check.description or 'failed'}"
        for check in result.get_asset_check_evaluations()
        if not check.passed
    ]
    return RunOutcome(result.run_id, result.success, tuple(problems))


def _step_problem(event: dg.DagsterEvent) -> str:
    """The innermost text that a person can act on."""
    error = event.step_failure_data.error
    description = event.step_failure_data.user_failure_data
    if description is not None and description.description:
        return f"{event.step_key}: {description.description}"
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {error.message.strip() if error else 'failed'}"
