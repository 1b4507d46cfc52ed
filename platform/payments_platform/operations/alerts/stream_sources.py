"""What the speed layer shows to alerting: the guardian's findings, consumers' lag, dead letters nobody decided about.

Belongs here: from those figures to observations. Does not: judging capture (streaming/capture), reading Kafka
(streaming/lag.py, streaming/dead_letter_ledger.py).
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from payments_platform.operations.alerts.rules import BY_NAME, GRADES
from payments_platform.operations.alerts.sources import Source
from payments_platform.operations.alerts.state import Observation
from payments_platform.streaming.dead_letter_replay import waiting
from payments_platform.streaming.dead_letter_watch import EXPIRING, judge
from payments_platform.streaming.lag import GroupLag

# While capture is down these follow by themselves.
_DOWN: Final = "capture_down"
_FOLLOW_DOWN: Final = frozenset({"capture_delayed", "capture_wal_filling"})


def of_capture(state: dict[str, Any], now: datetime) -> list[Observation]:
    """The guardian's latest look: what it found, and how long ago that was.

    Its state is read and not its events: an event that was missed while Kafka was away would be missed for ever.
    A finding under a name without a rule raises KeyError: the two lists must be mended, not the alert left out.
    """
    looked = datetime.fromisoformat(state["at"])
    age = (now - looked).total_seconds()
    said = f"The guardian looked last at {looked:%Y-%m-%d %H:%M:%S} UTC"
    found: dict[str, Observation] = {}
    names = {finding["name"] for finding in state["findings"]}
    for finding in state["findings"]:
        name, cause = finding["name"], _DOWN if finding["name"] in _FOLLOW_DOWN and _DOWN in names else ""
        grade, since = GRADES[finding["severity"]], state.get("alerts", {}).get(finding["name"])
        if name not in found or grade > found[name].value:
            found[name] = Observation(
                BY_NAME[name].name, name, grade, finding["text"], cause=cause, waits_for=(cause,) if cause else (),
                since=datetime.fromisoformat(since) if since else None,
            )  # fmt: skip
    return [Observation("capture_unwatched", "capture guardian", age, said), *found.values()]


def read_capture(path: Path, now: datetime) -> list[Observation]:
    """The observations of the guardian's state file. Raises OSError or ValueError when it cannot be read."""
    return of_capture(json.loads(path.read_text(encoding="utf-8")), now)


def of_lag(lags: Sequence[GroupLag]) -> list[Observation]:
    """One figure for each consumer group and topic: offsets behind, over all partitions."""
    behind: dict[tuple[str, str], int] = {}
    for line in lags:
        behind[line.group, line.topic] = behind.get((line.group, line.topic), 0) + line.lag
    return [
        Observation("consumer_lag", f"{group} {topic}", float(lag), f"{lag:,} messages of {topic} are not read yet")
        for (group, topic), lag in behind.items()
    ]


def of_dead_letters(ledger: pl.DataFrame, now: datetime) -> list[Observation]:
    """One figure for each topic, letters that nobody has ended, with the worst faults; and whether some expire."""
    counts = waiting(ledger).group_by("source_topic", "fault").len().sort("len", "fault", descending=[True, False])
    found = [
        Observation(EXPIRING, "dead letters", GRADES[finding.severity], finding.text)
        for finding in judge(ledger, now)
        if finding.name == EXPIRING
    ]
    for (topic,), group in counts.group_by(["source_topic"], maintain_order=True):
        faults = ", ".join(f"{fault} {count:,}" for _, fault, count in group.head(5).iter_rows())
        total = int(group["len"].sum())
        found.append(Observation("dead_letters", f"{topic}.dlq", float(total), f"{total:,} letters wait: {faults}"))
    return found


class Seldom:
    """A source that is expensive to ask: its answer holds for a while."""

    def __init__(self, ask: Source, every: timedelta = timedelta(seconds=45)) -> None:
        self._ask, self._every = ask, every
        self._answer: tuple[datetime, Sequence[Observation]] | None = None

    def __call__(self, now: datetime) -> Sequence[Observation]:
        """The answer, asked again when it is older than that. An error is raised and not kept."""
        if self._answer is None or not timedelta() <= now - self._answer[0] < self._every:
            self._answer = (now, self._ask(now))
        return self._answer[1]
