"""What the orchestrator's records show to alerting: runs that failed for good, checks that stopped them, automation.

Belongs here: which run is still unanswered, how many ticks failed in a row. Does not: reading the records
(defs/_platform/instance_facts.py), what a job does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from payments_platform.operations.alerts.state import Observation

TickOutcome = Literal["success", "skipped", "failure", "started"]


@dataclass(frozen=True)
class FailedCheck:
    """A check that stopped a partition: its asset and name, and what it said."""

    asset: str
    name: str
    text: str


@dataclass(frozen=True)
class RunFact:
    """A run that ended.

    ``parts`` are what it covers, in order: days, hours, windows of the stream; empty for a job that has none. ``day``
    holds them when they are smaller than a day. ``will_retry``: it starts again by itself.
    """

    run_id: str
    job: str
    parts: tuple[str, ...]
    ended_at: datetime
    succeeded: bool
    will_retry: bool = False
    problem: str = ""
    checks: tuple[FailedCheck, ...] = ()
    day: date | None = None


@dataclass(frozen=True)
class AutomationFact:
    """A schedule or sensor that should run here. ``ticks`` are its last ones, the newest first."""

    name: str
    kind: Literal["schedule", "sensor"]
    is_stopped: bool
    ticks: tuple[tuple[datetime, TickOutcome], ...]
    error: str = ""


def of_runs(runs: Sequence[RunFact]) -> list[Observation]:
    """An observation for each failed run that no later run of its job has made good for all its parts, and its checks.

    A run that will be retried says nothing yet. Run and checks share a cause: a day that was stopped is one message.
    So do hours and windows of a day: a fault that lasts stops one after the other.
    """
    found: dict[str, Observation] = {}
    ordered = sorted(runs, key=lambda run: run.ended_at)
    for place, run in enumerate(ordered):
        if run.succeeded or run.will_retry or any(_answers(later, run) for later in ordered[place + 1 :]):
            continue
        shown, cause = _shown(run), f"{run.job} {run.day}" if run.day else _shown(run)
        found[shown] = Observation(
            "run_failed", shown, 1.0, f"run {run.run_id[:8]}: {run.problem or 'it failed'}", cause=cause,
            since=run.ended_at,
        )  # fmt: skip
        for check in run.checks:
            subject = f"{check.asset} {check.name} {_span(run.parts)}".strip()
            found[subject] = Observation(
                "check_failed", subject, 1.0, check.text, cause=cause, waits_for=(shown,), asset=check.asset,
                since=run.ended_at,
            )  # fmt: skip
    return list(found.values())


def _answers(later: RunFact, failed: RunFact) -> bool:
    """Whether a later run did what the failed one was to do, or failed in its place."""
    covers = set(failed.parts) <= set(later.parts) if failed.parts else not later.parts
    is_same = later.job == failed.job and covers
    return is_same and (later.succeeded or later.will_retry or later.parts == failed.parts)


def _shown(run: RunFact) -> str:
    return f"{run.job} {_span(run.parts)}".strip()


def _span(parts: Sequence[str]) -> str:
    return " to ".join(dict.fromkeys((parts[0], parts[-1]))) if parts else ""


def of_automation(facts: Sequence[AutomationFact], now: datetime) -> list[Observation]:
    """For each schedule and sensor: whether it is stopped, how many of its last ticks failed, how long it is silent."""
    found = []
    for fact in facts:
        if fact.is_stopped:
            text = f"the {fact.kind} is stopped; it should run in this environment"
            found.append(Observation("automation_stopped", fact.name, 1.0, text))
            continue
        failed = _failed_in_a_row(fact)
        if failed:
            text = f"the last {failed} ticks of the {fact.kind} failed: {fact.error or 'without a word'}"
            found.append(Observation("automation_failing", fact.name, float(failed), text))
        if fact.kind == "sensor" and fact.ticks:
            last = fact.ticks[0][0]
            seconds = (now - last).total_seconds()
            text = f"the sensor was evaluated last at {last:%Y-%m-%d %H:%M:%S} UTC"
            found.append(Observation("automation_silent", fact.name, seconds, text))
    return found


def _failed_in_a_row(fact: AutomationFact) -> int:
    count = 0
    for _, outcome in fact.ticks:
        if outcome == "started":
            continue
        if outcome != "failure":
            break
        count += 1
    return count
