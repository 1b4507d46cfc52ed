"""Loads every definition below defs/ and applies policy to all of them at once.

Belongs here: what is true of every asset whatever it holds (freshness), resources, the executor. Does not: data.
"""

import warnings
from datetime import timedelta
from typing import Final

import dagster as dg

from payments_platform import defs
from payments_platform.defs._platform.resources import resources

# T+4h: the day is queryable at 06:00 UTC of the next day. Dagster's own policy looks at the last materialization only.
DUE: Final = dg.FreshnessPolicy.cron(deadline_cron="0 6 * * *", lower_bound_delta=timedelta(hours=6), timezone="UTC")


def _with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec.replace_attributes(freshness_policy=DUE)


def build() -> dg.Definitions:
    """All definitions. Reads the environment's name and first day, and no file, server or secret."""
    with warnings.catch_warnings():
        # Both calls are marked preview in 1.13; a test of every definition would notice a change.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        loaded = dg.load_definitions_from_package_module(defs, resources=resources(), executor=dg.in_process_executor)
        return loaded.map_asset_specs(func=_with_freshness)
