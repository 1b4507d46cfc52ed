"""A contract's deadline as Dagster's own freshness policy, which shows when an asset was last updated.

Belongs here: the translation. Does not: what is late, which Dagster's policy cannot say of partitions (on_time.py).
"""

from datetime import timedelta
from typing import Final, cast

import dagster as dg

from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.due import DEADLINE_OF_ZONE, Deadline, Due, MaxAge, NotDue
from payments_platform.vocabulary import Zone

# Dagster takes no shorter one.
_SHORTEST: Final = timedelta(minutes=1)


def deadline_of(key: dg.AssetKey) -> Deadline:
    """The deadline of an asset: its contract's, or its zone's where the platform only reads it."""
    found = DATASETS.get(key.to_user_string())
    return found.deadline if found else DEADLINE_OF_ZONE[cast("Zone", key.path[0])]


def policy_of(deadline: Deadline) -> dg.FreshnessPolicy:
    """Dagster's policy: updated between the earliest start and the deadline, or not longer ago than a stream's age.

    What is never due is shown by the marts' hours too: it is looked at once a day.
    """
    match deadline:
        case Due():
            lower = max(deadline.after - deadline.begins, _SHORTEST)
            return dg.FreshnessPolicy.cron(_cron(deadline), lower_bound_delta=lower, timezone="UTC")
        case MaxAge():
            return dg.FreshnessPolicy.time_window(fail_window=max(deadline.age, _SHORTEST))
        case NotDue():
            return policy_of(DEADLINE_OF_ZONE["marts"])


def _cron(due: Due) -> str:
    """The deadline as cron. Periods end at midnight UTC, weeks on Saturday, so that only the time after it counts."""
    minutes = due.after // timedelta(minutes=1)
    hour, minute = minutes // 60 % 24, minutes % 60
    match due.period:
        case "hour":
            return f"{minute} * * * *"
        case "day":
            return f"{minute} {hour} * * *"
        case "week":
            return f"{minute} {hour} * * {due.after.days % 7}"
        case "month":
            return f"{minute} {hour} {1 + due.after.days} * *"
