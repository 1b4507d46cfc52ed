"""Killed anywhere, the pipeline ends where an undisturbed one ends, and nothing that the dead run held blocks the next.

A failure's output names its seed; ``PAYMENTS_FAULT_SEED=… pytest assets_tests/faults/test_kills.py -m ""`` replays it.
"""

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets_tests.faults import campaign, stop_at
from assets_tests.faults.campaign import FIRST, LAST, SEED, Kill, kill_at, kills, unfinished
from assets_tests.faults.conftest import Record, Undisturbed
from assets_tests.integration.pipeline import Platform

pytestmark = [
    pytest.mark.integration,
    pytest.mark.faults,
    pytest.mark.timeout(600),
    # dagster-dbt asks its context for the op in the old way. Exit: dagster-dbt 0.30.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated:DeprecationWarning"),
]


def chosen(point: str) -> Kill:
    """The call at which to stop, from the seed; printed, so that a failure can be replayed."""
    kill = Kill(0, point, random.Random(f"{SEED}:{point}").randint(1, campaign.CALLS[point]))
    sys.stdout.write(f"{campaign.SEED_VARIABLE}={SEED}: {kill}\n")
    return kill


@pytest.mark.row("B6")
def test_the_campaign_visits_every_point_and_is_the_same_for_the_same_seed() -> None:
    """A failure that cannot be replayed cannot be mended."""
    planned = kills(SEED)
    assert planned == kills(SEED) != kills(SEED + 1)
    assert len(planned) == campaign.KILLS
    assert {kill.point for kill in planned} == set(stop_at.POINTS) == set(campaign.CALLS)


@pytest.mark.row("B6")
def test_killed_in_a_commit_and_again_in_landing_the_next_run_ends_as_if_nothing_had_happened(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """A half written day would be read as a whole one."""
    platform = Platform(undisturbed.stack, tmp_path)
    for point in ("commit", "landing"):
        kill_at(platform, chosen(point), "--no-models")
    platform.built(FIRST, LAST, "--no-models")
    assert platform.lake_digests() == undisturbed.lake
    assert platform.landing_digests() == undisturbed.landing
    assert unfinished(platform) == []


@pytest.mark.slow
@pytest.mark.row("B6")
@pytest.mark.parametrize("kill", [kill for kill in kills(SEED) if kill.point != "dbt"], ids=lambda kill: kill.name)
def test_killed_anywhere_the_next_run_ends_as_if_nothing_had_happened(
    undisturbed: Undisturbed, record: Record, tmp_path: Path, kill: Kill
) -> None:
    platform = Platform(undisturbed.stack, tmp_path)
    with record(f"kill -9 in {kill.point}", f"call {kill.call}") as trial:
        kill_at(platform, kill, "--no-models")
        platform.built(FIRST, LAST, "--no-models")
        trial.is_equal = (platform.lake_digests(), platform.landing_digests()) == (
            undisturbed.lake,
            undisturbed.landing,
        )
        assert trial.is_equal
        assert unfinished(platform) == []
        # The files of the killed writer are no part of any partition, and the sweeper finds them all.
        platform.lake.sweep(older_than=timedelta(0), now=datetime.now(UTC) + timedelta(seconds=1))
        assert platform.lake_digests() == undisturbed.lake
        assert platform.stray_files() == []


@pytest.mark.slow
@pytest.mark.row("B6")
@pytest.mark.parametrize("kill", [kill for kill in kills(SEED) if kill.point == "dbt"], ids=lambda kill: kill.name)
def test_killed_while_the_models_are_built_the_next_run_ends_as_if_nothing_had_happened(
    undisturbed: Undisturbed, models: dict[str, str], record: Record, tmp_path: Path, kill: Kill
) -> None:
    platform = Platform(undisturbed.stack, tmp_path)
    with record("kill -9 in dbt", f"{kill.call / 10:.1f} s") as trial:
        kill_at(platform, kill)
        platform.built(FIRST, LAST)
        trial.is_equal = platform.lake_digests() == undisturbed.lake and platform.warehouse_digests() == models
        assert trial.is_equal
        assert unfinished(platform) == []
