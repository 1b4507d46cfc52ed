"""The figures by name: what each measures, its unit, and what it has to be.

Belongs here: the closed list and its targets. Does not: how one is computed (weekly.py), how it is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal["ratio", "seconds", "count"]
Of = Literal["job", "automation", "phase"]


@dataclass(frozen=True)
class Bound:
    """What a value must be. ``above`` and ``below`` are strict, ``at_least`` and ``at_most`` allow the limit itself."""

    kind: Literal["above", "below", "at_least", "at_most"]
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a value is as it must be."""
        match self.kind:
            case "above":
                return value > self.limit
            case "below":
                return value < self.limit
            case "at_least":
                return value >= self.limit
            case "at_most":
                return value <= self.limit

    def in_words(self) -> str:
        """As people write it."""
        signs = {"above": ">", "below": "<", "at_least": "≥", "at_most": "≤"}
        return f"{signs[self.kind]} {self.limit:g}"


@dataclass(frozen=True)
class Figure:
    """One figure of a job, of a schedule or sensor, or of a phase, over an ISO week. ``target`` None: shown alone."""

    name: str
    of: Of
    unit: Unit
    says: str
    target: Bound | None = None


def _of_jobs(name: str, unit: Unit, says: str, target: Bound | None = None) -> Figure:
    return Figure(name, "job", unit, says, target)


FIGURES: Final[tuple[Figure, ...]] = (
    _of_jobs("job_executions", "count",
             "Executions that ended: a run and its automatic retries are one. Runs without a task, and those that a"
             " person cancelled, are none."),
    _of_jobs("job_success_ratio", "ratio", "Executions that succeeded, of those that ended.", Bound("above", 0.99)),
    _of_jobs("job_retry_ratio", "ratio", "Executions that needed another attempt, of those that ended.",
             Bound("below", 0.05)),
    _of_jobs("task_retry_ratio", "ratio", "Tasks that needed another attempt within their run, of all tasks.",
             Bound("below", 0.05)),
    _of_jobs("job_median_seconds", "seconds", "Half of the executions that succeeded took at most this long."),
    _of_jobs("job_p95_seconds", "seconds", "95 of 100 executions that succeeded took at most this long."),
    _of_jobs("job_duration_ratio", "ratio",
             "job_p95_seconds divided by the usual time: the median of the week and the 28 days before it.",
             Bound("below", 2)),
    _of_jobs("task_duration_ratio", "ratio",
             "95 of 100 tasks took at most so many times their usual time; times below a second count as one.",
             Bound("below", 2)),
    _of_jobs("schedule_lag_seconds", "seconds",
             "95 of 100 scheduled runs were asked for at most so long after they were due.", Bound("below", 30)),
    Figure("tick_lag_seconds", "automation", "seconds",
           "On the worst day 95 of 100 evaluations of it began at most so long after they were due.",
           Bound("below", 30)),
    # From ten minutes on an alert warns, too (automation_silent).
    Figure("longest_gap_seconds", "automation", "seconds", "For so long at most it was due and was not evaluated.",
           Bound("below", 600)),
    Figure("phase_seconds", "phase", "seconds",
           "The longest time of the phase in a daily run; each phase has its own limit."),
)  # fmt: skip
BY_NAME: Final[Mapping[str, Figure]] = {figure.name: figure for figure in FIGURES}
# The usual time is that of the week and so many days before it.
BASELINE_DAYS: Final = 28
# Fewer say nothing of what is usual.
BASELINE_SAMPLES: Final = 5
