"""What of freshness is said to Dagster: changes at once, the rest now and then, never a flood.

Belongs here: the choice and its memory. Does not: the states (test_freshness), the sensor (test_sensors).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payments_platform.operations.freshness import Freshness, State
from payments_platform.operations.on_time import EVENTS_AT_ONCE, HEARTBEAT, HEARTBEATS_AT_ONCE, Said, to_say

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def found(name: str = "marts/a", state: State = "PASS", missing: str | None = None) -> Freshness:
    return Freshness(name, "analytics", state, NOW, missing, int(bool(missing)), NOW, NOW, (), f"as of {NOW}")


def said(states: list[Freshness], memory: Said, now: datetime) -> tuple[list[str], Said]:
    """What is said, by name, and the memory as it comes back from the cursor."""
    chosen = to_say(states, memory, now)
    return [it.dataset for it in chosen], Said.from_json(memory.after(chosen, states, now).to_json())


@pytest.mark.row("X4")
def test_a_state_is_said_once_and_then_when_it_changes() -> None:
    """The event log takes tens of events a second; a state each tick for each asset would fill it with nothing new."""
    first, memory = said([found()], Said(), NOW)
    again, memory = said([found()], memory, NOW + timedelta(seconds=30))
    worse, memory = said([found(state="FAIL", missing="2026-11-22")], memory, NOW + timedelta(seconds=60))
    same, memory = said([found(state="FAIL", missing="2026-11-22")], memory, NOW + timedelta(seconds=90))
    healed, _ = said([found()], memory, NOW + timedelta(seconds=120))
    assert [first, again, worse, same, healed] == [["marts/a"], [], ["marts/a"], [], ["marts/a"]]


def test_a_reason_that_tells_the_time_says_nothing_new() -> None:
    _, memory = said([found(state="WARN", missing="2026-11-22")], Said(), NOW)
    later = replace(found(state="WARN", missing="2026-11-22"), reason="as of a minute later")
    assert to_say([later], memory, NOW + timedelta(minutes=1)) == []


def test_what_has_not_changed_is_said_again_now_and_then() -> None:
    """A check that was evaluated last month looks like a sensor that died last month."""
    names = [found(f"marts/t{n}") for n in range(12)]
    _, memory = said(names, Said(), NOW)
    counts = []
    for minute in range(4):
        chosen, memory = said(names, memory, NOW + HEARTBEAT + timedelta(minutes=minute))
        counts.append(len(chosen))
    assert counts == [HEARTBEATS_AT_ONCE, HEARTBEATS_AT_ONCE, 12 - 2 * HEARTBEATS_AT_ONCE, 0]


@pytest.mark.row("X4")
def test_a_flood_is_said_in_parts_the_worst_first_and_nothing_is_left_out() -> None:
    """Two hundred tables late at once: a tick that reports them all would hold up every other sensor."""
    late = [found(f"marts/t{n}", "FAIL", "2026-11-22") for n in range(EVENTS_AT_ONCE)]
    fine = [found(f"raw/t{n}") for n in range(EVENTS_AT_ONCE + 1)]
    memory, order = Said(), list[str]()
    for tick in range(4):
        chosen, memory = said([*fine, *late], memory, NOW + timedelta(seconds=30 * tick))
        assert len(chosen) <= EVENTS_AT_ONCE + HEARTBEATS_AT_ONCE
        order += chosen
    assert order[:EVENTS_AT_ONCE] == [it.dataset for it in late]
    assert sorted(order) == sorted(it.dataset for it in (*late, *fine))


@pytest.mark.parametrize("seconds, stands", [(1, True), (300, True), (301, False), (-1, False)])
def test_a_clock_set_back_a_little_stands_still(seconds: int, stands: bool) -> None:
    """Late at six, on time at one second to six, late at six: three messages of one fault."""
    now = NOW - timedelta(seconds=seconds)
    assert Said(at=NOW).steady(now) == (NOW if stands else now)


def test_a_clock_that_was_years_ahead_silences_nobody() -> None:
    _, memory = said([found()], Said(), NOW + timedelta(days=2000))
    assert said([found()], memory, NOW)[0] == ["marts/a"]
    assert said([found(state="FAIL", missing="2026-11-22")], memory, NOW)[0] == ["marts/a"]


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"marks": 3}', '{"marks": {"a": "b"}}', '{"at": "x"}'])
def test_a_memory_that_cannot_be_read_says_everything_again(text: str | None) -> None:
    """A sensor that dies of its own cursor says nothing ever after."""
    assert said([found()], Said.from_json(text), NOW)[0] == ["marts/a"]


def test_a_dataset_that_is_gone_is_forgotten() -> None:
    _, memory = said([found("marts/old"), found()], Said(), NOW)
    _, memory = said([found()], memory, NOW + timedelta(seconds=30))
    assert set(memory.marks) == {"marts/a"}
