"""From records to observations: what each source says, and what it leaves unsaid.

Belongs here: runs and their checks, automation, capture, freshness. Does not: what follows from it (test_alert_engine).
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from assets_tests.fakes.alerting import FakeChannel, MemoryStore
from payments_platform.operations.alerts.evaluation import Alerting, evaluate
from payments_platform.operations.alerts.run_sources import AutomationFact, FailedCheck, RunFact, of_automation, of_runs
from payments_platform.operations.alerts.sources import of_freshness
from payments_platform.operations.alerts.state import Observation
from payments_platform.operations.alerts.stream_sources import Seldom, of_capture, of_lag
from payments_platform.operations.alerts.watch import Watch
from payments_platform.operations.freshness import Freshness
from payments_platform.streaming.lag import GroupLag

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
D1, D2 = date(2026, 2, 27), date(2026, 2, 28)
CHECK = FailedCheck("clean/transactions", "follows_contract", "2 % broke R-amount-sign")


def run(hours: float, *days: date, **more: Any) -> RunFact:  # noqa: ANN401 - any field of a run
    parts = tuple(map(str, days))
    return RunFact("0123456789", "daily", parts, NOW + hours * HOUR, **{"succeeded": False, **more})


def rules(*runs: RunFact) -> list[str]:
    return [it.rule for it in of_runs(runs)]


@pytest.mark.row("E1")
def test_a_run_that_will_be_retried_says_nothing_yet() -> None:
    assert rules(run(0, D1, will_retry=True)) == []
    assert rules(run(0, D1, will_retry=True), run(1, D1)) == ["run_failed"]


def test_a_later_run_of_the_same_days_makes_good_and_one_of_others_does_not() -> None:
    """A backfill of an old day would otherwise close the alert about today's."""
    failed = run(0, D1)
    assert rules(failed, run(1, D1, succeeded=True)) == []
    assert rules(failed, run(1, D1, D2, succeeded=True)) == []
    assert rules(failed, run(1, D2, succeeded=True)) == ["run_failed"]
    assert rules(failed, run(-1, D1, succeeded=True)) == ["run_failed"]


@pytest.mark.parametrize("parts, later, answers", [
    (("window 3", "window 4"), ("window 3", "window 4"), True),
    (("window 3", "window 4"), ("window 3", "window 4", "window 5"), True),
    (("window 3", "window 4"), ("window 5",), False),
    (("window 3", "window 4"), ("window 4", "window 5"), False),
    (("2026-02-27-13:00",), ("2026-02-27-14:00",), False),
    (("2026-02-27-13:00",), ("2026-02-27-13:00",), True),
    ((), (), True),
    ((), ("2026-02-27",), False),
    (("2026-02-27",), (), False),
])  # fmt: skip
@pytest.mark.parametrize("succeeded", [True, False])
def test_a_run_is_made_good_by_one_that_covers_all_it_was_to_do(
    parts: tuple[str, ...], later: tuple[str, ...], *, answers: bool, succeeded: bool
) -> None:
    """A run over the next windows says nothing of those that were found broken."""
    second = RunFact("1", "job", later, NOW, succeeded=succeeded)
    found = of_runs([RunFact("0", "job", parts, NOW - HOUR, succeeded=False), second])
    is_open = any(it.text.startswith("run 0") for it in found)
    assert is_open == (not answers if succeeded else parts != later)


def test_parts_of_a_day_that_fail_one_after_the_other_share_a_cause() -> None:
    """A fault of the stream fails every run of checks until it is mended: a message each would hide all others."""
    runs = [
        RunFact(str(n), "checks", (f"window {n}",), NOW + n * HOUR, succeeded=False, day=day, checks=(CHECK,))
        for n, day in enumerate([D1, D1, D2])
    ]
    found = of_runs(runs)
    assert len({it.subject for it in found}) == 6
    assert [it.cause for it in found if it.rule == "run_failed"] == [f"checks {D1}", f"checks {D1}", f"checks {D2}"]
    assert {it.cause for it in found if it.rule == "check_failed"} == {f"checks {D1}", f"checks {D2}"}


def test_a_run_that_fails_again_is_one_alert_with_the_last_reason() -> None:
    found = of_runs([run(0, D1, problem="first"), run(1, D1, problem="second")])
    assert [it.text for it in found] == ["run 01234567: second"]


def test_a_run_and_the_checks_that_stopped_it_share_a_cause() -> None:
    found = of_runs([run(0, D1, checks=(CHECK,))])
    assert [it.rule for it in found] == ["run_failed", "check_failed"]
    assert len({it.cause for it in found}) == 1


def automation(*outcomes: str, age: float = 5, kind: str = "sensor", stopped: bool = False) -> list[Observation]:
    ticks = tuple((NOW - timedelta(seconds=age + 30 * n), outcome) for n, outcome in enumerate(outcomes))
    fact = AutomationFact("tail", kind, is_stopped=stopped, ticks=ticks, error="KeyError")  # type: ignore[arg-type]
    return of_automation([fact], NOW)


@pytest.mark.parametrize("outcomes, failed", [
    (["failure", "failure", "success", "failure"], 2),
    (["started", "failure", "failure", "skipped"], 2),
    (["success", "failure", "failure"], 0),
    ([], 0),
])  # fmt: skip
def test_failed_ticks_are_counted_back_to_the_last_good_one(outcomes: list[str], failed: int) -> None:
    counted = [it.value for it in automation(*outcomes) if it.rule == "automation_failing"]
    assert counted == ([failed] if failed else [])


def test_a_stopped_schedule_is_not_also_silent() -> None:
    assert [it.rule for it in automation("failure", age=9999, stopped=True)] == ["automation_stopped"]


def test_a_schedule_is_silent_between_its_times() -> None:
    assert automation("success", age=86000, kind="schedule") == []


def test_every_partition_of_a_group_counts_to_its_lag() -> None:
    lags = [GroupLag("sink", "t", n, 0, 400) for n in range(3)]
    assert [(it.subject, it.value) for it in of_lag(lags)] == [("sink t", 1200.0)]


def capture(*findings: tuple[str, str]) -> list[Observation]:
    found = [{"name": name, "severity": severity, "text": name} for name, severity in findings]
    return of_capture({"at": NOW.isoformat(), "findings": found, "alerts": {"capture_down": NOW.isoformat()}}, NOW)


def test_what_follows_from_capture_being_down_waits_for_it() -> None:
    found = {it.rule: it for it in capture(("capture_down", "critical"), ("capture_delayed", "warning"))}
    assert found["capture_delayed"].waits_for == ("capture_down",)
    assert found["capture_down"].since == NOW
    assert (found["capture_down"].value, found["capture_delayed"].value) == (2.0, 1.0)


def test_of_two_findings_of_a_name_the_worst_counts() -> None:
    found = capture(("capture_gap", "warning"), ("capture_gap", "critical"))
    assert [it.value for it in found if it.rule == "capture_gap"] == [2.0]


def test_a_finding_without_a_rule_is_an_error_and_not_left_out() -> None:
    with pytest.raises(KeyError):
        capture(("capture_unheard_of", "critical"))


def state(dataset: str, what: str, missing: str | None = "2026-02-28", causes: tuple[str, ...] = ()) -> Freshness:
    since = NOW if what == "FAIL" else None
    return Freshness(dataset, "analytics", what, since, missing, 1, NOW, NOW, causes, "reason")  # type: ignore[arg-type]


@pytest.mark.row("X4")
def test_a_day_that_never_began_is_one_cause_for_every_dataset() -> None:
    names = ["raw/a", "raw/b", "clean/a", "clean/b", "marts/x", "aggregates/y"]
    causes = [(), (), ("raw/a",), ("raw/b",), ("raw/a", "raw/b"), ("raw/b",)]
    found = of_freshness([state(name, "FAIL", causes=why) for name, why in zip(names, causes, strict=True)], NOW)
    assert {it.cause for it in found} == {"raw 2026-02-28"}
    assert [it.rule for it in found] == ["dataset_late"] * 4 + ["mart_late"] * 2


def test_a_table_and_its_quarantine_are_late_for_one_cause() -> None:
    """They are written together and have one manifest: two messages would tell of one fault."""
    found = of_freshness([state(name, "FAIL") for name in ("clean/transactions", "quarantine/transactions")], NOW)
    assert [it.cause for it in found] == ["clean 2026-02-28"] * 2
    lacking = state("quarantine/transactions", "FAIL")
    _, waiting = of_freshness([lacking, state("marts/x", "FAIL", causes=(lacking.dataset,))], NOW)
    assert waiting.cause == "clean 2026-02-28"


@pytest.mark.row("X4", "C5")
def test_what_is_on_time_says_nothing_and_what_is_late_counts_from_its_deadline() -> None:
    assert of_freshness([state("marts/x", "PASS")], NOW) == []
    (late,) = of_freshness([state("marts/x", "FAIL")], NOW + HOUR)
    assert (late.value, late.since, late.asset, late.owner) == (3600.0, NOW, "marts/x", "analytics")


def test_a_stream_without_any_data_is_late() -> None:
    never = Freshness("search/x", "data-platform", "FAIL", None, None, 0, None, None, (), "no data")
    assert [(it.rule, it.value) for it in of_freshness([never], NOW)] == [("stream_late", 1.0)]


def test_an_expensive_source_is_asked_now_and_then() -> None:
    asked: list[datetime] = []

    def ask(now: datetime) -> list[Observation]:
        asked.append(now)
        return []

    seldom = Seldom(ask, timedelta(seconds=45))
    for seconds in (0, 30, 44, 45, 46, 10):
        seldom(NOW + timedelta(seconds=seconds))
    assert len(asked) == 3


@pytest.mark.row("X18")
def test_the_switch_speaks_when_nothing_was_ever_evaluated_and_when_the_record_cannot_be_read() -> None:
    """Silence is silence, whatever it comes from."""

    def away() -> datetime:
        raise ConnectionError("no database")

    for last in (lambda: None, away):
        pagerduty = FakeChannel("pagerduty")
        channels = {"pagerduty": pagerduty, "slack": FakeChannel("slack")}
        watch = Watch(Alerting(MemoryStore(), {}, channels, "test"), last)  # type: ignore[arg-type]
        for n in range(20):
            watch.look(NOW + n * timedelta(seconds=15))
        assert [it.kind for it in pagerduty.taken] == ["open"]
        assert pagerduty.taken[0].lines[0].rule == "alerting_silent"


@pytest.mark.row("A3")
def test_the_summary_comes_once_a_day_at_seven_and_says_what_is_open() -> None:
    slack, email = FakeChannel("slack"), FakeChannel("email")
    seen = [Observation("run_failed", "daily 2026-02-28", 1, "it failed")]
    alerting = Alerting(
        MemoryStore(), {"runs": lambda _: seen}, {"slack": slack, "email": email}, "test",
        figures=lambda _: ["12 of 12 datasets are on time"],
    )  # fmt: skip
    for n in range(3 * 24 * 4):
        evaluate(alerting, NOW + n * timedelta(minutes=15))
    summaries = [it for it in slack.taken if it.kind == "summary"]
    assert [it.at[:16] for it in summaries] == [f"2026-03-0{n}T07:00" for n in (1, 2, 3)]
    assert len(email.taken) == 3
    assert "Open alerts: 1. In the last 24 hours 1 opened and 0 closed." in summaries[0].body
    assert "daily 2026-02-28" in summaries[0].body
    assert "12 of 12 datasets are on time" in summaries[0].body


def test_a_source_that_raises_stops_no_other_and_keeps_its_alerts() -> None:
    slack = FakeChannel("slack")
    answers: dict[str, Any] = {"runs": [Observation("run_failed", "daily", 1)]}

    def runs(_: datetime) -> list[Observation]:
        found: list[Observation] | Exception = answers["runs"]
        if isinstance(found, Exception):
            raise found
        return found

    lag = [Observation("dead_letters", "t.dlq", 800)]
    sources: dict[Any, Any] = {"runs": runs, "dead_letters": lambda _: lag}
    alerting = Alerting(MemoryStore(), sources, {"slack": slack, "email": FakeChannel("email")}, "test")
    evaluate(alerting, NOW)
    answers["runs"] = ConnectionError("away")
    done = evaluate(alerting, NOW + timedelta(seconds=30))
    assert done is not None
    assert done.problems == {"runs": "ConnectionError: away"}
    assert {alert.rule for alert in done.memory.open_alerts} == {"run_failed", "dead_letters"}
