"""Loads every definition below defs/ and applies policy to all of them at once.

Belongs here: what is true of every asset whatever it holds (freshness), resources, the executor. Does not: data.
"""

import warnings

import dagster as dg

from payments_platform import defs
from payments_platform.defs._platform.deadlines import deadline_of, policy_of
from payments_platform.defs._platform.resources import resources
from payments_platform.defs.job_schedules import automations


def _with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec.replace_attributes(freshness_policy=policy_of(deadline_of(spec.key)))


def build() -> dg.Definitions:
    """All definitions. Reads the environment's name and first day, and no file, server or secret."""
    with warnings.catch_warnings():
        # Both calls are marked preview in 1.13; a test of every definition would notice a change.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        loaded = dg.load_definitions_from_package_module(defs, resources=resources(), executor=dg.in_process_executor)
        return dg.Definitions.merge(loaded.map_asset_specs(func=_with_freshness), automations(loaded.assets or ()))
