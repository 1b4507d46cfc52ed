"""Sensors that follow the stream: windows of committed segments, positions of readers, dead letters.

Belongs here: when to look, what the cursor holds, which runs are asked for. Does not: grouping (streaming/windows.py),
events of a window (_platform/window_events.py). Each looks within seconds: a tick has 60, and payloads never travel.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import Any, Final

import dagster as dg

from payments_platform.contracts.dead_letters import DEAD_LETTERS
from payments_platform.contracts.stores import SEARCH_TRANSACTIONS, TRANSACTION_LOGS
from payments_platform.contracts.streams import CHANGES, EVENTS, RAW_TRANSACTIONS_STREAM
from payments_platform.defs._platform.observed import Ask, position_metadata
from payments_platform.defs._platform.partitions import WINDOWS_TAG
from payments_platform.defs._platform.resources import LAKE
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs._platform.streams import STREAMS, Position, Streams, reading
from payments_platform.defs._platform.window_events import Known, events_of
from payments_platform.defs.documents import transaction_logs
from payments_platform.defs.jobs import stream_window_checks
from payments_platform.defs.operations import dead_letters
from payments_platform.defs.search import transactions as searched
from payments_platform.defs.streams import changes as captured
from payments_platform.defs.streams import transactions
from payments_platform.lake.partitions import Lake
from payments_platform.streaming.capture.judge import DELAY_CRITICAL
from payments_platform.streaming.dead_letter_watch import judge
from payments_platform.streaming.windows import following
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

# A run costs seconds of imports: one for all windows of a quarter of an hour, so at most 96 a day.
CHECK_EVERY: Final = timedelta(minutes=15)
_OBSERVED: Final[dict[dg.AssetKey, Ask]] = {
    key_of(CHANGES): captured.position,
    key_of(EVENTS): transactions.position,
    key_of(TRANSACTION_LOGS): transaction_logs.position,
    key_of(SEARCH_TRANSACTIONS): searched.position,
    key_of(DEAD_LETTERS): dead_letters.position,
}


# Seen again well before it would be late: a deadline of five minutes, a look each minute.
STILL_EVERY: Final = timedelta(minutes=2)
_STILL_AT: Final = "still_at"
_NEVER: Final = "1970-01-01T00:00:00+00:00"
_LAKE_SINK: Final = key_of(RAW_TRANSACTIONS_STREAM)


class _Away(Exception):
    """A system could not be asked; the text says why."""


_Tick = Callable[[dg.SensorEvaluationContext], dg.SensorResult | dg.SkipReason]


def _looking(
    every: int,
    description: str,
    resources: set[str],
    job: Any = None,  # noqa: ANN401 - Dagster's union has no name
) -> Callable[[_Tick], dg.SensorDefinition]:
    """A sensor that starts by itself and looks every so many seconds, with the function's name.

    A system that is away is no reason to fail a tick every minute, and never an empty success: the tick is skipped.
    """

    def made(tick: _Tick) -> dg.SensorDefinition:
        @wraps(tick)
        def evaluated(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
            try:
                return tick(context)
            except _Away as away:
                return dg.SkipReason(f"nothing is told, for it cannot be asked: {away}")

        return dg.sensor(
            name=tick.__name__, description=description, job=job, required_resource_keys=resources,
            default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=every,
        )(evaluated)  # fmt: skip

    return made


def _asked(question: Callable[[], Any]) -> Any:  # noqa: ANN401 - the question's own type
    """The answer. Raises _Away whatever the client raises."""
    try:
        return question()
    except Exception as error:
        raise _Away(f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}") from error


@_looking(
    10,
    "Tells of each window of the stream once, with its offsets, sums and lag; asks for few runs of checks.",
    {LAKE, STREAMS},
    stream_window_checks,
)
def stream_windows(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Tell of the windows beyond the cursor. Each is on record before; killed anywhere, the next tick says the same."""
    lake: Lake = context.resources.lake
    cursor = {"window": 0, "checked": 0, "asked_at": ""} | json.loads(context.cursor or "{}")
    ends = _asked(lambda: context.resources.streams.ends(ANALYTICS_TRANSACTIONS))
    now = datetime.now(UTC)
    found = following(lake.storage, cursor["window"], now)
    known = Known(context.instance)
    events = [event for window in found for event in events_of(window, ends, known)]
    cursor["window"] = max((window.number for window in found), default=cursor["window"])
    requests = _checks_due(cursor, now)
    if not found and not requests:
        return dg.SkipReason(f"no segment beyond window {cursor['window']}")
    return dg.SensorResult(asset_events=events, run_requests=requests, cursor=json.dumps(cursor))


def _checks_due(cursor: dict[str, Any], now: datetime) -> list[dg.RunRequest]:
    """One run for all windows that none has checked, if the last was long enough ago; the cursor remembers it."""
    is_early = cursor["asked_at"] and now - datetime.fromisoformat(cursor["asked_at"]) < CHECK_EVERY
    if is_early or cursor["checked"] == cursor["window"]:
        return []
    span = f"{cursor['checked'] + 1}-{cursor['window']}"
    cursor.update(checked=cursor["window"], asked_at=now.isoformat())
    return [dg.RunRequest(run_key=f"windows-{span}", tags={WINDOWS_TAG: span})]


@_looking(
    60, "Observes topics, stores and dead letters: where each stands, how far behind, how much there is.", {STREAMS}
)
def stream_positions(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Observe what moved since the last look; what stands still is told of once, and now and then if nothing waits."""
    streams: Streams = context.resources.streams
    before: dict[str, Any] = json.loads(context.cursor or "{}")
    seen, events, away, asked = dict(before), [], [], dict[dg.AssetKey, Position]()
    for key, ask in _OBSERVED.items():
        name = key.to_user_string()
        try:
            found = _asked(partial(ask, streams))
        except _Away as reason:
            away.append(f"{name}: {reason}")
            continue
        asked[key] = found
        seen[name] = [sum(found.positions.values()), found.lag, found.rows]
        if seen[name] != before.get(name):
            events.append(dg.AssetObservation(asset_key=key, metadata=position_metadata(found)))
    now = datetime.now(UTC)
    if now - datetime.fromisoformat(before.get(_STILL_AT, _NEVER)) >= STILL_EVERY:
        told = {event.asset_key for event in events}
        still = [it for it in _still(streams, asked, now) if it not in told]
        events += [dg.AssetObservation(asset_key=it, metadata=position_metadata(asked[it])) for it in still]
        seen[_STILL_AT] = now.isoformat()
    if not events:
        return dg.SkipReason("; ".join(away) or "nothing moved")
    return dg.SensorResult(asset_events=events, cursor=json.dumps(seen))


def _still(streams: Streams, asked: dict[dg.AssetKey, Position], now: datetime) -> Iterator[dg.AssetKey]:
    """The streams to which nothing is to be moved: the source has told all, and nobody has a message left to read.

    Capture's heartbeat goes the way of the changes: once it is there, all that was committed before is.
    """
    changes = asked.get(key_of(CHANGES))
    if changes is None or changes.unread:
        return
    with suppress(_Away):
        beat_at = _asked(streams.captured_until)
        if beat_at is None or now - beat_at > DELAY_CRITICAL:
            return
        asked[_LAKE_SINK] = _asked(partial(reading, streams, "sink-lake", [ANALYTICS_TRANSACTIONS]))
        yield from (key for key, found in asked.items() if key != key_of(DEAD_LETTERS) and not found.unread)


@_looking(
    60,
    "Ends letters that are about to be removed undecided; shows in the asset graph whether too many wait.",
    {STREAMS},
)
def dead_letter_watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """End what is due, and give the check's verdict when it is another one. Telling people is the alert engine's."""
    streams: Streams = context.resources.streams
    now = datetime.now(UTC)
    findings = judge(_asked(lambda: streams.expire_letters(now)), now)
    wrong = [f"{finding.name} {finding.subject}".strip() for finding in findings]
    if wrong == json.loads(context.cursor or "[]"):
        return dg.SkipReason(f"nothing changed; wrong: {', '.join(wrong) or 'nothing'}")
    verdict = dg.AssetCheckEvaluation(**dead_letters.verdict(findings))
    return dg.SensorResult(asset_events=[verdict], cursor=json.dumps(wrong))
