"""The job that takes the platform's own figures, at its own time: they matter most on a day whose job failed.

Belongs here: what it selects, when it runs. Does not: the figures.
"""

from typing import Final

import dagster as dg

from payments_platform.contracts.figures import DATASETS
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs.jobs import START_OF_SCHEDULES

FIGURES: Final = dg.AssetSelection.assets(*(key_of(it) for it in DATASETS))

platform_figures = dg.define_asset_job(
    "platform_figures",
    selection=FIGURES,
    description="Runs, ticks, weekly figures and the register of service levels, after the day's last deadline.",
)
platform_figures_schedule = dg.build_schedule_from_partitioned_job(
    platform_figures,
    hour_of_day=6,
    minute_of_hour=30,
    default_status=START_OF_SCHEDULES,
)
