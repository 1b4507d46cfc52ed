"""The undisturbed build that faults are compared with, and the report of a campaign.

Belongs here: what the fault tests share. Does not: the faults.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from assets_tests.conftest import Stack
from assets_tests.faults.campaign import FIRST, LAST, OUTCOMES, SEED, SEED_VARIABLE, Outcome
from assets_tests.faults.stream_report import REPORT
from assets_tests.integration.pipeline import Platform, fresh_source


@dataclass(frozen=True)
class Undisturbed:
    """Two small days, and what building them leaves when nobody interferes."""

    stack: Stack
    lake: dict[str, tuple[str, int, str]]
    landing: dict[str, str]


@dataclass
class Trial:
    """A fault under way: what is said of it at the end, and whether the content was the undisturbed one."""

    outcome: str = "the next run made the day anew"
    is_equal: bool = False
    started: float = field(default_factory=time.monotonic)


class Record(Protocol):
    """Opens the record of one fault."""

    def __call__(self, fault: str, at: str) -> AbstractContextManager[Trial]: ...


@pytest.fixture(scope="session")
def undisturbed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    fresh_source(stack)
    platform = Platform(stack, tmp_path_factory.mktemp("undisturbed"))
    arguments = ("--days", "2", "--per-day", "150", "--until", str(LAST), "--seed", "6", "--defects", "0.02")
    result = platform.command("simulate", *arguments)
    assert result.exit_code == 0, result.output
    platform.built(FIRST, LAST, "--no-models")
    return Undisturbed(stack, platform.lake_digests(), platform.landing_digests())


@pytest.fixture(scope="session")
def models(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The whole warehouse of an undisturbed build."""
    platform = Platform(undisturbed.stack, tmp_path_factory.mktemp("models"))
    platform.built(FIRST, LAST)
    return platform.warehouse_digests()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Keep what came of a fault for the report, also when the test fails."""

    @contextmanager
    def recorded(fault: str, at: str) -> Iterator[Trial]:
        trial = Trial()
        try:
            yield trial
        except BaseException as error:
            trial.outcome = f"failed: {type(error).__name__}"
            raise
        finally:
            seconds = time.monotonic() - trial.started
            outcomes = request.config.stash.setdefault(OUTCOMES, [])
            outcomes.append(Outcome(fault, at, trial.outcome, trial.is_equal, seconds))

    return recorded


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the fault report: every fault, what came of it, and whether the content is that of an undisturbed run."""
    if report := config.stash.get(REPORT, None):
        terminalreporter.section("kills of the speed layer")
        for line in report.lines():
            terminalreporter.write_line(line)
    outcomes = config.stash.get(OUTCOMES, [])
    if not outcomes:
        return
    terminalreporter.section(f"fault report, {SEED_VARIABLE}={SEED}")
    terminalreporter.write_line("| fault | at | outcome | digests equal | seconds |")
    terminalreporter.write_line("|---|---|---|---|---|")
    for it in outcomes:
        equal = "yes" if it.is_equal else "NO"
        terminalreporter.write_line(f"| {it.fault} | {it.at} | {it.outcome} | {equal} | {it.seconds:.1f} |")
    equal_ones = sum(it.is_equal for it in outcomes)
    terminalreporter.write_line(f"{equal_ones} of {len(outcomes)} ended as if nothing had happened")
