"""The rules: complete, each with its page, and each threshold held by figures on both sides of it.

Belongs here: what a rule must say, and the mutation test on thresholds and times. Does not: the state machine
(test_alert_engine), the campaign of faults (test_alert_fidelity).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from payments_platform.operations.alerts.engine import ROUTES, step
from payments_platform.operations.alerts.rules import BY_NAME, RULES, SEVERITIES, Level, Rule
from payments_platform.operations.alerts.state import Memory, Observation
from payments_platform.streaming import dead_letter_watch
from payments_platform.streaming.capture import judge

START = datetime(2026, 3, 1, tzinfo=UTC)
RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
SECTIONS = ["## What it means", "## Look", "## Mend", "## Mended when"]

# By rule and severity: a figure that is still well, one that is not, and the seconds that it must last; written down a
# second time on purpose. Whoever changes a rule changes what people are woken for, and says so here.
EDGES: dict[tuple[str, str], tuple[float, float, int]] = {
    ("mart_late", "critical"): (0.99, 1, 0),
    ("dataset_late", "warning"): (0.99, 1, 0),
    ("deadline_at_risk", "warning"): (0.99, 1, 0),
    ("stream_late", "warning"): (0.99, 1, 0),
    ("stream_late", "critical"): (0.99, 1, 600),
    ("run_failed", "warning"): (0.99, 1, 0),
    ("check_failed", "warning"): (0.99, 1, 0),
    ("automation_failing", "warning"): (1.99, 2, 0),
    ("automation_failing", "critical"): (19.9, 20, 0),
    ("automation_stopped", "warning"): (0.99, 1, 600),
    ("automation_silent", "warning"): (599, 600, 120),
    ("automation_silent", "critical"): (1799, 1800, 120),
    ("capture_unwatched", "warning"): (59, 60, 60),
    ("capture_unwatched", "critical"): (299, 300, 120),
    ("consumer_lag", "warning"): (699, 700, 300),
    ("consumer_lag", "critical"): (999, 1000, 300),
    ("dead_letters", "warning"): (699, 700, 0),
    ("dead_letters", "critical"): (1000, 1001, 0),
    ("source_unreadable", "warning"): (299, 300, 0),
    ("source_unreadable", "critical"): (1799, 1800, 0),
    ("messages_undelivered", "critical"): (599, 600, 0),
    ("alerting_silent", "critical"): (59, 60, 120),
} | {
    (rule.name, severity): (grade - 0.01, grade, 0)
    for rule in RULES
    if rule.unit == "grade"
    for severity, grade in (("warning", 1.0), ("critical", 2.0))
}
CLEARS = {
    "automation_stopped": 120, "automation_silent": 120, "stream_late": 60, "capture_unwatched": 120,
    "consumer_lag": 300, "dead_letters": 120, "source_unreadable": 120, "messages_undelivered": 120,
    "dead_letters_expiring": 120,
} | {rule.name: 60 for rule in RULES if rule.source == "capture" and rule.unit == "grade"}  # fmt: skip


def severity_after(rule: Rule, value: float, seconds: int) -> str | None:
    """The severity of an alert that has shown a figure for so long; it grows by a trifle, as a backlog would."""
    memory = Memory()
    for after, figure in ((0, value), (seconds, value + 1e-6)):
        seen = [Observation(rule.name, "x", figure)]
        memory, _ = step(memory, seen, [rule.source], START + timedelta(seconds=after), {rule.name: rule})
    return next((alert.severity for alert in memory.alerts.values()), None)


def clears_after(rule: Rule) -> float:
    """Seconds that an open alert stays open after its figure is well."""
    at, memory = START, Memory()
    for _ in range(2):
        worst = rule.levels[-1]
        memory, _ = step(memory, [Observation(rule.name, "x", worst.threshold + (at - START).total_seconds())],
                         [rule.source], at, {rule.name: rule})  # fmt: skip
        at += worst.holds_for + timedelta(seconds=1)
    began = at
    while memory.alerts:
        memory, _ = step(memory, [], [rule.source], at, {rule.name: rule})
        if memory.alerts:
            at += timedelta(seconds=10)
    return (at - began).total_seconds()


def broken_edges(rules: tuple[Rule, ...]) -> list[tuple[str, str]]:
    """The edges that these rules do not keep."""
    found: list[tuple[str, str]] = []
    for rule in rules:
        for level in rule.levels:
            well, ill, lasts = EDGES[rule.name, level.severity]
            rank = SEVERITIES.index(level.severity)
            figures = [(well, lasts + 1, False), (ill, lasts, True)] + ([(ill, lasts - 1, False)] if lasts else [])
            for value, seconds, speaks in figures:
                severity = severity_after(rule, value, seconds)
                reached = severity is not None and SEVERITIES.index(severity) >= rank
                if reached != speaks:
                    found.append((rule.name, level.severity))
        if clears_after(rule) != CLEARS.get(rule.name, 0):
            found.append((rule.name, "clears_after"))
    return found


@pytest.mark.row("X18")
def test_every_rule_speaks_at_its_edge_and_not_before() -> None:
    assert {(rule.name, level.severity) for rule in RULES for level in rule.levels} == set(EDGES)
    assert broken_edges(RULES) == []


def mutants() -> Iterator[tuple[str, Rule]]:
    """Each rule with one of its figures changed a little."""
    for rule in RULES:
        for place, level in enumerate(rule.levels):
            changed: list[dict[str, Any]] = [
                {"threshold": level.threshold * 1.02},
                {"threshold": level.threshold * 0.98},
                {"holds_for": level.holds_for + timedelta(seconds=1)},
                {"holds_for": level.holds_for - timedelta(seconds=2)},
                {"severity": "warning" if level.severity == "critical" else "critical"},
            ]
            for change in changed:
                levels = list(rule.levels)
                try:
                    levels[place] = replace(level, **change)
                    yield f"{rule.name} {level.severity} {change}", replace(rule, levels=tuple(levels))
                except ValueError:
                    continue  # a figure that no rule may have: refused, which kills it too
        for seconds in (-10, 10):
            longer = rule.clears_after + timedelta(seconds=seconds)
            if longer >= timedelta():
                yield f"{rule.name} clears_after {longer}", replace(rule, clears_after=longer)


@pytest.mark.row("X18")
def test_every_mutant_of_a_figure_is_noticed() -> None:
    """A threshold that can be changed without a test failing is a threshold that nobody holds."""
    alive = []
    total = 0
    for name, mutant in mutants():
        total += 1
        try:
            is_noticed = bool(broken_edges((mutant,)))
        except KeyError:
            is_noticed = True  # a severity that the rule is not to have
        if not is_noticed:
            alive.append(name)
    assert alive == []
    assert total > 180


@pytest.mark.row("X18", "D2")
@pytest.mark.parametrize("lacking", ["name", "says", "owner", "unit", "fault", "levels"])
def test_a_rule_that_lacks_something_is_refused(lacking: str) -> None:
    """Who is woken without knowing whose it is or what fires it learns to switch it off."""
    whole = RULES[0]
    with pytest.raises(ValueError, match=lacking):
        replace(whole, **{lacking: () if lacking == "levels" else " "})  # type: ignore[arg-type]


@pytest.mark.parametrize("levels", [
    (Level("critical", 1), Level("warning", 2)),
    (Level("warning", 2), Level("critical", 1)),
    (Level("warning", 1), Level("warning", 2)),
    (Level("warning", 1), Level("critical", 1)),
])  # fmt: skip
def test_levels_that_do_not_rise_are_refused(levels: tuple[Level, ...]) -> None:
    with pytest.raises(ValueError, match="rise"):
        replace(RULES[0], levels=levels)


def test_a_figure_that_cannot_be_broken_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Level("warning", 0)


@pytest.mark.row("D2")
def test_every_rule_has_its_page_and_every_page_its_rule() -> None:
    """An alert without a page is read at night by somebody who has never seen it."""
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert {rule.name for rule in RULES} == pages
    assert all((RUNBOOKS.parents[1] / rule.runbook).exists() for rule in RULES)


@pytest.mark.row("D2")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_page_says_what_it_means_how_to_look_how_to_mend_and_when_it_is_mended(rule: Rule) -> None:
    text = (RUNBOOKS / f"{rule.name}.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == SECTIONS
    assert text.startswith("# ")
    assert f"`{rule.name}`" in text.splitlines()[0]


@pytest.mark.row("D2")
def test_the_list_of_pages_names_each() -> None:
    listed = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    assert [rule.name for rule in RULES if f"({rule.name}.md)" not in listed] == []


@pytest.mark.row("A3")
def test_critical_pages_and_warnings_go_to_slack_alone() -> None:
    assert ROUTES == {"warning": ("slack",), "critical": ("pagerduty", "slack")}
    assert set(ROUTES) == set(SEVERITIES)


def test_the_guardian_s_alerts_are_the_rules_about_capture() -> None:
    """A finding without a rule would be an alert that nobody is told of."""
    about = {rule.name for rule in RULES if rule.source == "capture"} - {"capture_unwatched"}
    assert set(judge.ALERTS) == about


def test_the_watch_of_dead_letters_and_its_rules_agree() -> None:
    assert set(dead_letter_watch.ALERTS) == {rule.name for rule in RULES if rule.source == "dead_letters"}
    assert BY_NAME["dead_letters"].levels[-1].threshold == dead_letter_watch.OPEN_LIMIT + 1
