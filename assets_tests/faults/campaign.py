"""A campaign of kills: seeded points, a real SIGKILL of real processes at each, and what the next run made of it.

Belongs here: choosing the points, killing, the record of each. Does not: what must hold afterwards (the tests).
"""

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from typing import Final

import dagster as dg
import psutil
import pytest

from assets_tests.faults import stop_at
from assets_tests.integration.pipeline import Platform, environment
from payments_platform.clients.dagster import PROCESS_TAG, instance_of
from payments_platform.contracts.catalogue import of_zone
from payments_platform.settings import load_settings

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 2)
SEED_VARIABLE: Final = "PAYMENTS_FAULT_SEED"
SEED: Final = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(10_000))
ROUNDS_VARIABLE: Final = "PAYMENTS_FAULT_ROUNDS"
KILLS: Final = 30
_DAYS = 2
_RAW, _CLEAN, _LANDING = (len(of_zone(zone)) for zone in ("raw", "clean", "landing"))
# The highest call of a point that two days reach for certain (tenths of a second for dbt, which is another program).
CALLS: Final = {
    "run-start": _RAW,
    "extract": 8,
    "write": _DAYS * _CLEAN,
    "commit": _DAYS * (_RAW + _CLEAN),
    "check": _DAYS * (_RAW + _CLEAN),
    "verdict": _DAYS * (_RAW + _CLEAN),
    "landing": _DAYS * _LANDING,
    "dbt": 120,
}


@dataclass(frozen=True)
class Kill:
    """A point and at which of its calls."""

    number: int
    point: str
    call: int

    @property
    def name(self) -> str:
        """As the test's id and the report show it."""
        return f"{self.number:02}-{self.point}"


@dataclass(frozen=True)
class Outcome:
    """What came of one fault: whether the next run ended where an undisturbed one ends, and the seconds of both."""

    fault: str
    at: str
    outcome: str
    is_equal: bool
    seconds: float


OUTCOMES: Final = pytest.StashKey[list[Outcome]]()


def kills(seed: int, count: int = KILLS) -> list[Kill]:
    """``count`` kills that take turns over the points; the same seed gives the same ones."""
    chance = random.Random(seed)
    points = [stop_at.POINTS[number % len(stop_at.POINTS)] for number in range(count)]
    return [Kill(number, point, chance.randint(1, CALLS[point])) for number, point in enumerate(points, start=1)]


def kill_at(platform: Platform, kill: Kill, *more: str) -> None:
    """Start a backfill, and send SIGKILL to it and to every process it started, when it reaches a point."""
    marker = platform.folder / "reached"
    marker.unlink(missing_ok=True)
    arguments = [kill.point, str(kill.call), str(marker), "backfill", "--from", str(FIRST), "--to", str(LAST), *more]
    variables = {**os.environ, **platform.variables()}
    output = platform.folder / "killed.log"
    with output.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, stop_at.__file__, *arguments], env=variables, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 240
            while not marker.exists():
                assert process.poll() is None, f"ended before {kill}: {output.read_text()}"
                assert time.monotonic() < deadline, f"never came to {kill}: {output.read_text()}"
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
