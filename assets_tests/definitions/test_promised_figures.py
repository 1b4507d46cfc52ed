"""The times and counts that pages promise or that rules rest on, written down a second time on purpose.

Belongs here: literals, and what follows where one is too small. Does not: thresholds of rules (unit/test_alert_rules),
targets of figures (unit/test_weekly_figures). Whoever changes one of these changes what is told and kept, and says so
here and in the page that promises it.
"""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal

import dagster as dg
import pytest

from assets_tests.fakes.alerting import MemoryStore
from payments_platform.clients.messaging import ChannelAway
from payments_platform.defs._platform import instance_facts, instance_ticks
from payments_platform.operations import freshness, on_time
from payments_platform.operations.alerts import engine, outbox, rules, run_sources, state, store
from payments_platform.operations.alerts.messages import Message
from payments_platform.operations.figures import catalogue

NOW = datetime.now(UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

FIGURES: dict[str, tuple[object, object]] = {
    "an opening counts for so long": (engine.FLAP_WINDOW, DAY),
    "an alert that came back stays open": (engine.FLAP_BASE, 2 * MINUTE),
    "and at the longest": (engine.FLAP_CAP, 2 * HOUR),
    "a refused message is tried again after": (outbox.REFUSED_AGAIN, 10 * MINUTE),
    "a message is tried for": (outbox.GIVE_UP_AFTER, 7 * DAY),
    "a channel is left alone for at most": (outbox._LONGEST_WAIT, HOUR),
    "messages stay on record for": (store.KEPT, 90 * DAY),
    "a failed run is told for": (instance_facts.LOOKBACK, 7 * DAY),
    "ticks that are looked at": (instance_facts._TICKS, 25),
    "a due partition is owed for": (freshness.LOOKBACK, 35 * DAY),
    "freshness is said again after": (on_time.HEARTBEAT, 6 * HOUR),
    "changes said at once": (on_time.EVENTS_AT_ONCE, 25),
    "repetitions said at once": (on_time.HEARTBEATS_AT_ONCE, 5),
    "skipped ticks are trusted for": (instance_ticks.SENSOR_TICKS_KEPT, 47 * HOUR),
    "a silent sensor is gone after": (instance_ticks.GONE_AFTER, 7 * DAY),
    "days before a week that are its baseline": (catalogue.BASELINE_DAYS, 28),
    "runs that make a baseline": (catalogue.BASELINE_SAMPLES, 5),
}


@pytest.mark.parametrize("what", FIGURES)
def test_a_promised_figure_is_as_it_was_promised(what: str) -> None:
    """A figure that can be moved without a test failing is a figure that nobody holds."""
    found, promised = FIGURES[what]
    assert found == promised


class Asking:
    """A channel that asks to be left alone for five hours."""

    def send(self, message: Message) -> Literal["sent"]:
        raise ChannelAway("429", timedelta(hours=5))


def test_a_channel_that_asks_for_hours_is_tried_again_after_one() -> None:
    box = MemoryStore()
    box.keep(state.Memory(), [Message("a", "open", "slack", "warning", "key", "title", NOW.isoformat())], NOW)
    outbox.deliver(box, {"slack": Asking()}, NOW)
    (entry,) = box.waiting()
    assert entry.next_try_at - NOW == HOUR


@dg.op
def breaks() -> None:
    """Fail."""
    raise dg.Failure("the disk is full", allow_retries=False)


@dg.job(name="nightly")
def nightly() -> None:
    """A job that fails."""
    breaks()


@pytest.mark.row("A3")
def test_a_failed_run_is_told_for_seven_days_as_its_runbook_says() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        nightly.execute_in_process(instance=instance, raise_on_error=False)
        seen = [len(instance_facts.run_facts(instance, NOW + after)) for after in (7 * DAY - MINUTE, 7 * DAY + HOUR)]
    assert seen == [1, 0]


class FailingSensor:
    """Dagster's records of one sensor, of which every tick failed."""

    def all_instigator_state(self) -> list[Any]:
        running = SimpleNamespace(value="RUNNING")
        return [SimpleNamespace(instigator_name="hourly", instigator_origin_id="o", selector_id="s", status=running)]

    def get_ticks(self, origin: str, selector: str, *, limit: int) -> list[Any]:
        failed, error = SimpleNamespace(value="FAILURE"), SimpleNamespace(message="no such table")
        ticks = [SimpleNamespace(timestamp=NOW.timestamp() - n, status=failed, error=error) for n in range(1000)]
        return ticks[:limit]


@dg.sensor(name="hourly", job=nightly, default_status=dg.DefaultSensorStatus.RUNNING)
def hourly(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Never start anything."""
    return dg.SkipReason(f"{context.cursor}")


@pytest.mark.row("A3")
def test_enough_ticks_are_looked_at_for_a_sensor_that_fails_for_long_to_be_critical() -> None:
    """The count of failed ticks ends where the looking ends: below twenty nobody would ever be paged."""
    repository = dg.Definitions(jobs=[nightly], sensors=[hourly]).get_repository_def()
    facts = instance_facts.automation_facts(FailingSensor(), repository, besides="alerts")  # type: ignore[arg-type]
    seen = {it.rule: it.value for it in run_sources.of_automation(facts, NOW)}
    critical = max(level.threshold for level in rules.BY_NAME["automation_failing"].levels)
    assert seen["automation_failing"] >= critical == 20
