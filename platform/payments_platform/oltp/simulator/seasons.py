"""When payments happen: the rhythm of the week and of the day.

Belongs here: counts and instants of a day. Does not: what is paid.
"""

from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from payments_platform.oltp.simulator.world import DAY_MICROS, day_start

# Monday to Sunday, mean 1: Fridays are busy, Sundays quiet.
_WEEK: Final = (0.95, 0.96, 0.98, 1.02, 1.16, 1.06, 0.87)
# Relative load of each UTC hour: a quiet night, lunch and evening peaks, smeared over the time zones.
_HOURS: Final = (28, 22, 18, 16, 16, 19, 26, 36, 46, 54, 60, 66, 70, 66, 60, 58, 60, 66, 74, 80, 76, 62, 48, 37)


def payments_on(day: date, per_day: int) -> int:
    """How many payments begin on the day, when ``per_day`` is the mean of a week."""
    return max(1, round(per_day * _WEEK[day.weekday()]))


def times(random: np.random.Generator, day: date, count: int) -> npt.NDArray[np.int64]:
    """Sorted instants of one day (microseconds since 1970) that follow the rhythm of its hours."""
    edges = np.concatenate(([0.0], np.cumsum(np.array(_HOURS, dtype=np.float64))))
    hours = np.interp(np.sort(random.random(count)) * edges[-1], edges, np.arange(25, dtype=np.float64))
    micros = (hours / 24.0 * DAY_MICROS).astype(np.int64)
    instants: npt.NDArray[np.int64] = day_start(day) + np.minimum(micros, DAY_MICROS - 1)
    return instants
