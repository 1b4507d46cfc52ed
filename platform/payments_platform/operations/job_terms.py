"""The five jobs as they were promised: what each makes, when, how urgent it is, how long it may take.

Belongs here: the closed list of terms, which schedules, documents and figures read. Does not: which runs are due
(due_runs.py), the jobs themselves (defs/jobs.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from payments_platform.contracts.due import START_OF_DAILY_JOB, Period
from payments_platform.settings import Environment

Priority = Literal["high", "medium"]
# The run queue takes the higher number first; a backfill has none and comes last.
PRIORITIES: Final[Mapping[Priority, int]] = {"high": 10, "medium": 5}
# A run that takes twice the time it was given is ended: whatever holds it up also holds up what waits behind it.
PATIENCE: Final = 2
# Whether anything starts by itself; where nothing does, a person starts it.
AUTOMATIC: Final[Mapping[Environment, bool]] = {"local": False, "test": False, "staging": True, "production": True}
_SERVED: Final = frozenset(environment for environment, is_automatic in AUTOMATIC.items() if is_automatic)


@dataclass(frozen=True)
class JobTerms:
    """One job. ``cron`` is None for a job that follows data: it starts once all that it reads is there.

    ``begins`` is the time from the end of a period to the first moment at which its run makes sense; a clock that has a
    ``cron`` strikes then. ``takes`` is the time that the job was given, ``starts_in`` where it starts by itself:
    elsewhere a person starts it.
    """

    name: str
    makes: str
    when: str
    period: Period
    begins: timedelta
    cron: str | None
    priority: Priority
    takes: timedelta
    starts_in: frozenset[Environment] = _SERVED

    @property
    def limit(self) -> timedelta:
        """The time after which a run of one partition is ended."""
        return self.takes * PATIENCE

    @property
    def tags(self) -> dict[str, str]:
        """What the run queue and the monitoring of runs go by."""
        return {
            "dagster/priority": str(PRIORITIES[self.priority]),
            "dagster/max_runtime": str(int(self.limit.total_seconds())),
        }


def _hours(number: float) -> timedelta:
    return timedelta(hours=number)


DAILY: Final = JobTerms(
    "daily_oltp_to_dwh", "a day, source to star schema, phases timed against their limits", "02:00 UTC", "day",
    START_OF_DAILY_JOB, "0 2 * * *", "high", _hours(2),
)  # fmt: skip
FEATURES: Final = JobTerms(
    "hourly_feature_refresh", "an hour of features", "every hour", "hour", timedelta(), "0 * * * *", "medium",
    _hours(0.25),
)  # fmt: skip
TRAINING: Final = JobTerms(
    "weekly_ml_training", "a week's model", "Sunday 02:00 UTC", "week", _hours(2), "0 2 * * 0", "high", _hours(4)
)
CUSTOMER_360: Final = JobTerms(
    "daily_customer_360_build", "a day's customer profiles", "once the marts it reads are there, each day", "day",
    timedelta(), None, "medium", _hours(1),
)  # fmt: skip
COMPLIANCE: Final = JobTerms(
    "monthly_compliance_report", "a month's report", "once the month's last day is there", "month", timedelta(), None,
    "high", _hours(0.5),
)  # fmt: skip
FIVE_JOBS: Final = (DAILY, FEATURES, TRAINING, CUSTOMER_360, COMPLIANCE)
