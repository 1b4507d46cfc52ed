"""The alert rules as code: what is watched, from which figure on, for how long, whose it is, which fault fires it.

Belongs here: the closed list and what a rule must say. Does not: measuring (sources.py, defs/operations), the state of
an alert (engine.py), what to do about one (docs/runbooks/<rule>.md, one page a rule, held equal by a test).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final, Literal, get_args

from payments_platform.vocabulary import Team

Severity = Literal["warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)  # the mildest first
SourceName = Literal["freshness", "runs", "automation", "capture", "lag", "dead_letters", "alerts", "heartbeat"]
SOURCES: Final[tuple[SourceName, ...]] = get_args(SourceName)

_NOW: Final = timedelta()
# What a source that judges by itself says: 1 for a warning, 2 for a critical finding.
GRADES: Final[Mapping[Severity, float]] = {"warning": 1.0, "critical": 2.0}


@dataclass(frozen=True)
class Level:
    """From which figure on, and for how long without a break, a rule speaks with this severity."""

    severity: Severity
    threshold: float
    holds_for: timedelta = _NOW

    def __post_init__(self) -> None:
        """Refuse what could never fire or would fire on nothing."""
        if self.threshold <= 0 or self.holds_for < _NOW:
            raise ValueError(f"a threshold lies above 0 and a time is not negative: {self}")


@dataclass(frozen=True)
class Rule:
    """One rule. Each subject that its source measures (a dataset, a job, a topic) has an alert of its own.

    ``levels`` from the mildest; a figure at or above a threshold breaks it. ``clears_after`` is how long the figure has
    to stay below every threshold before the alert closes. ``only_growing``: the figure must also lie above its
    lowest since then, and must not have been higher in the level's time; a backlog that is worked off pages nobody.
    ``fault`` is the fault of the campaign that fires it.
    """

    name: str
    says: str
    owner: Team
    source: SourceName
    unit: str
    levels: tuple[Level, ...]
    fault: str
    clears_after: timedelta = timedelta(minutes=2)
    only_growing: bool = False

    def __post_init__(self) -> None:
        """Refuse a rule that lacks what a person who is woken needs: whose it is, from which figure on, why."""
        texts = {"name": self.name, "says": self.says, "owner": self.owner, "unit": self.unit, "fault": self.fault}
        lacking = [field for field, text in texts.items() if not text.strip()] + ([] if self.levels else ["levels"])
        if lacking:
            raise ValueError(f"the rule {self.name or 'without a name'} lacks {', '.join(lacking)}")
        ranks = [SEVERITIES.index(level.severity) for level in self.levels]
        rises = [(level.threshold, level.holds_for) for level in self.levels]
        if ranks != sorted(set(ranks)) or any(a >= b for a, b in pairwise(rises)):
            raise ValueError(f"the levels of {self.name} do not rise")

    @property
    def runbook(self) -> str:
        """The page that says what to do, by its path in the repository."""
        return f"docs/runbooks/{self.name}.md"


def _minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def _warning(threshold: float, holds_for: timedelta = _NOW) -> Level:
    return Level("warning", threshold, holds_for)


def _critical(threshold: float, holds_for: timedelta = _NOW) -> Level:
    return Level("critical", threshold, holds_for)


# Units with words of their own: the first second counts; another watch has judged already.
LATE: Final = "seconds late"
GRADE: Final = "grade"
# The guardian of change capture has limits of its own (streaming/capture); here it is routed, owned and explained.
_GRADED: Final = (_warning(GRADES["warning"]), _critical(GRADES["critical"]))


def _captured(name: str, says: str, fault: str) -> Rule:
    return Rule(f"capture_{name}", says, "data-platform", "capture", GRADE, _GRADED, fault, _minutes(1))


RULES: Final[tuple[Rule, ...]] = (
    # Freshness. A state is computed from due partitions and does not flicker, so its close is told at once.
    Rule("mart_late", "A due day or month is not in the warehouse", "analytics", "freshness", LATE,
         (_critical(1),), "a day is not built by 06:00 UTC", _NOW),
    Rule("dataset_late", "A due partition of a dataset is not there", "data-platform", "freshness", LATE,
         (_warning(1),), "a source table stops coming", _NOW),
    Rule("deadline_at_risk", "A partition will miss its deadline, for what it needs is missing",
         "data-platform", "freshness", "datasets", (_warning(1),), "the extraction is held up", _NOW),
    Rule("stream_late", "A stream's newest data is older than promised", "data-platform", "freshness", LATE,
         (_warning(1), _critical(1, _minutes(10))), "a stream stands still", _minutes(1)),
    # Runs, checks and what starts them, from Dagster's own records
    Rule("run_failed", "A run failed and its retries are used up", "data-platform", "runs", "runs",
         (_warning(1),), "a run dies twice", _NOW),
    Rule("check_failed", "A blocking check stopped a partition", "data-platform", "runs", "checks",
         (_warning(1),), "bad rows above the tolerance", _NOW),
    Rule("automation_failing", "A schedule or sensor fails tick after tick", "data-platform", "automation",
         "failed ticks in a row", (_warning(2), _critical(20)), "a sensor raises", _NOW),
    Rule("automation_stopped", "A schedule or sensor that must run is stopped", "data-platform", "automation",
         "stopped", (_warning(1, _minutes(10)),), "a person stops a schedule and forgets it"),
    Rule("automation_silent", "A sensor has not been evaluated for long", "data-platform", "automation",
         "seconds since its last tick", (_warning(600, _minutes(2)), _critical(1800, _minutes(2))),
         "a sensor hangs"),
    # The speed layer
    _captured("down", "Change capture does not run", "the connector is killed"),
    _captured("gap", "Changes were not captured", "the replication slot is dropped"),
    _captured("source_rewound", "The source's log ends before the stored position", "the source is restored"),
    _captured("wal_filling", "The slot holds back the source's log", "nobody reads the slot"),
    _captured("delayed", "Changes arrive late", "a huge transaction"),
    _captured("incomplete", "A table is not captured whole", "a table loses its replica identity"),
    _captured("snapshot_open", "A snapshot was asked for and does not end", "a snapshot is cut off"),
    _captured("slot_not_copied", "The replica has no usable copy of the slot", "the replica's slot is dropped"),
    _captured("topics_differ", "A topic is not as its specification says", "a topic's retention is changed"),
    _captured("epoch_differs", "Capture runs under another epoch than the platform", "the epoch is raised by half"),
    Rule("capture_unwatched", "The guardian of change capture has not looked for long", "data-platform", "capture",
         "seconds since its last look", (_warning(60, _minutes(1)), _critical(300, _minutes(2))),
         "the guardian is killed"),
    Rule("consumer_lag", "A consumer group is behind and falls further behind", "data-platform", "lag", "messages",
         (_warning(700, _minutes(5)), _critical(1000, _minutes(5))), "a worker is stopped", _minutes(5),
         only_growing=True),
    Rule("dead_letters", "Refused messages pile up", "data-platform", "dead_letters", "open letters",
         (_warning(700), _critical(1001)), "poisoned messages"),
    # The watch of dead letters judges this one, as the guardian does for capture.
    Rule("dead_letters_expiring", "Refused messages are about to be removed undecided", "data-platform",
         "dead_letters", GRADE, _GRADED, "letters that nobody decides about"),
    # The alerting path itself. Its own silence is watched from outside: watch.py
    Rule("source_unreadable", "Something that alerts are made from cannot be asked", "data-platform", "alerts",
         "seconds since its last answer", (_warning(300), _critical(1800)), "the broker is away for long"),
    Rule("messages_undelivered", "Messages about alerts cannot be delivered", "data-platform", "alerts",
         "seconds that the oldest waits", (_critical(600),), "Slack is away for long"),
    Rule("alerting_silent", "Nothing has been evaluated for long: every other alert is blind", "data-platform",
         "heartbeat", "seconds since the last evaluation", (_critical(60, _minutes(2)),),
         "the Dagster daemon is stopped", _NOW),
)  # fmt: skip
BY_NAME: Final[Mapping[str, Rule]] = {rule.name: rule for rule in RULES}
