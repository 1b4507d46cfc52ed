"""Killed anywhere, the pipeline ends where an undisturbed one ends, and nothing that the dead run held blocks the next.

A failure's output names its seed; ``PAYMENTS_FAULT_SEED=… pytest assets_tests/faults/test_kills.py`` replays it.
"""

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
import pytest

from assets_tests.conftest import Stack
from assets_tests.faults import stop_at
from assets_tests.integration.pipeline import Platform, environment, fresh_source
from payments_platform.clients.dagster import PROCESS_TAG, instance_of
from payments_platform.settings import load_settings

pytestmark = [
    pytest.mark.integration,
    pytest.mark.faults,
    pytest.mark.timeout(600),
    # dagster-dbt asks its context for the op in the old way. Exit: dagster-dbt 0.30.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated:DeprecationWarning"),
]
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 2)
SEED = int(os.environ.get("PAYMENTS_FAULT_SEED") or random.SystemRandom().randrange(10_000))
# The highest call of a point that two days reach for certain (tenths of a second for dbt, which is another program).
CALLS = {"run-start": 5, "extract": 5, "commit": 20, "verdict": 20, "landing": 6, "dbt": 120}


@dataclass(frozen=True)
class Undisturbed:
    """Two small days, and what building them leaves when nobody interferes."""

    stack: Stack
    lake: dict[str, tuple[str, int, str]]
    landing: dict[str, str]


@pytest.fixture(scope="module")
def undisturbed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    fresh_source(stack)
    platform = Platform(stack, tmp_path_factory.mktemp("undisturbed"))
    arguments = ("--days", "2", "--per-day", "150", "--until", str(LAST), "--seed", "6", "--defects", "0.02")
    result = platform.command("simulate", *arguments)
    assert result.exit_code == 0, result.output
    platform.built(FIRST, LAST, "--no-models")
    return Undisturbed(stack, platform.lake_digests(), platform.landing_digests())


@pytest.fixture(scope="module")
def models(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The whole warehouse of an undisturbed build."""
    platform = Platform(undisturbed.stack, tmp_path_factory.mktemp("models"))
    platform.built(FIRST, LAST)
    return platform.warehouse_digests()


def kill_at(platform: Platform, point: str, call: int, *more: str) -> None:
    """Start a backfill, and send SIGKILL to it and to every process it started, when it reaches a point."""
    marker = platform.folder / "reached"
    marker.unlink(missing_ok=True)
    arguments = [point, str(call), str(marker), "backfill", "--from", str(FIRST), "--to", str(LAST), *more]
    variables = {**os.environ, **platform.variables()}
    output = platform.folder / "killed.log"
    with output.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, stop_at.__file__, *arguments], env=variables, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 240
            while not marker.exists():
                assert process.poll() is None, f"ended before {point}: {output.read_text()}"
                assert time.monotonic() < deadline, f"never came to {point} {call}: {output.read_text()}"
                time.sleep(0.02)
        finally:
            if process.poll() is None:
                parent = psutil.Process(process.pid)
                for each in (*parent.children(recursive=True), parent):
                    each.kill()
            process.wait()


def unfinished(platform: Platform) -> list[str]:
    """Runs of commands that the instance shows as going on."""
    going_on = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    with environment(platform.variables()), instance_of(load_settings()) as instance:
        runs = instance.get_runs(filters=dg.RunsFilter(statuses=going_on))
        return [run.run_id for run in runs if PROCESS_TAG in run.tags]


def chosen(point: str) -> int:
    """The call at which to stop, from the seed; printed, so that a failure can be replayed."""
    call = random.Random(f"{SEED}:{point}").randint(1, CALLS[point])
    sys.stdout.write(f"PAYMENTS_FAULT_SEED={SEED}: {point}, call {call}\n")
    return call


@pytest.mark.row("B6", "O9")
def test_killed_in_a_commit_and_again_in_landing_the_next_run_ends_as_if_nothing_had_happened(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """A half written day would be read as a whole one."""
    platform = Platform(undisturbed.stack, tmp_path)
    for point in ("commit", "landing"):
        kill_at(platform, point, chosen(point), "--no-models")
    platform.built(FIRST, LAST, "--no-models")
    assert platform.lake_digests() == undisturbed.lake
    assert platform.landing_digests() == undisturbed.landing
    assert unfinished(platform) == []


@pytest.mark.slow
@pytest.mark.row("B6", "O9")
@pytest.mark.parametrize("point", stop_at.POINTS)
def test_killed_anywhere_the_next_run_ends_as_if_nothing_had_happened(
    undisturbed: Undisturbed, models: dict[str, str], tmp_path: Path, point: str
) -> None:
    platform = Platform(undisturbed.stack, tmp_path)
    kill_at(platform, point, chosen(point))
    platform.built(FIRST, LAST)
    assert platform.lake_digests() == undisturbed.lake
    assert platform.warehouse_digests() == models
    assert unfinished(platform) == []
    # The files of the killed writer are no part of any partition, and the sweeper finds them all.
    platform.lake.sweep(older_than=timedelta(0), now=datetime.now(UTC) + timedelta(seconds=1))
    assert platform.lake_digests() == undisturbed.lake
    assert platform.stray_files() == []
