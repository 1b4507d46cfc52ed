"""What a run of kills over the speed layer came to, as a person reads it.

Belongs here: the report's words and tables, and where it is kept. Does not: the run.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from assets_tests.faults import stream_windows
from assets_tests.faults.stream_checker import Verdict
from assets_tests.faults.stream_run import Killed
from payments_platform.contracts.streams import CHANGE_TOPICS
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

# Set, it names the page whose part between the marks is written anew by the run itself.
PAGE_VARIABLE: Final = "PAYMENTS_FAULT_PAGE"
BEGIN, END = "<!-- kills of the speed layer: written by the run -->", "<!-- end of what the run wrote -->"
_TOPICS: Final = {ANALYTICS_TRANSACTIONS, *(spec.name for spec in CHANGE_TOPICS)}
REPORT: Final = pytest.StashKey["Report"]()


@dataclass(frozen=True)
class Report:
    """One run."""

    seed: int
    killed: Sequence[Killed]
    verdicts: Sequence[Verdict]
    transactions: int
    rate: float
    bulk_done: int
    bulk_failed: int

    def lines(self) -> Iterator[str]:
        """The report in Markdown."""
        faulty = sum(bool(verdict.kinds) for verdict in self.verdicts)
        yield f"`PAYMENTS_FAULT_SEED={self.seed}`: {len(self.killed)} kills while {self.transactions:,} live"
        yield f"transactions were acknowledged ({self.rate:,.0f} a second while PostgreSQL served), and while"
        yield f"`payments load` and `payments simulate` ended {self.bulk_done} times and were killed with their"
        yield f"database {self.bulk_failed} times. {faulty or 'None'} of {len(self.verdicts)} places had a fault."
        yield ""
        yield "| killed | times | under traffic alone, load, simulate | seconds until all served: median, longest |"
        yield "|---|---|---|---|"
        yield from self._targets()
        yield ""
        yield "| place | versions committed | messages | faults |"
        yield "|---|---|---|---|"
        for verdict in self.verdicts:
            figures = _figures(verdict)
            kinds = ", ".join(f"{count} {kind}" for kind, count in verdict.kinds.items())
            yield f"| {verdict.place} | {figures} | {kinds or 'none'} |"

    def publish(self, config: pytest.Config) -> None:
        """Keep it for the end of the test run, and write it into the page that the environment names."""
        config.stash[REPORT] = self
        if page := os.environ.get(PAGE_VARIABLE):
            path = Path(page)
            before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
            _, _, after = rest.partition(END)
            path.write_text("\n".join([f"{before}{BEGIN}", "", *self.lines(), "", f"{END}{after}"]), encoding="utf-8")

    def _targets(self) -> Iterator[str]:
        by_target: dict[str, list[Killed]] = defaultdict(list)
        for killed in self.killed:
            by_target[killed.kill.target].append(killed)
        for target, kills in by_target.items():
            loads = [sum(it.kill.load == load for it in kills) for load in ("traffic", "load", "simulate")]
            times = [it.seconds for it in kills if it.seconds is not None]
            seconds = f"{median(times):.1f}, {max(times):.1f}" if times else "the next kill came before"
            yield f"| {target} | {len(kills)} | {', '.join(map(str, loads))} | {seconds} |"


def _figures(verdict: Verdict) -> str:
    if verdict.place == stream_windows.PLACE:
        return f"{verdict.truth:,} segments | {verdict.found:,} windows"
    return f"{verdict.truth:,} | {verdict.found:,}" if verdict.place in _TOPICS else "those above | "
