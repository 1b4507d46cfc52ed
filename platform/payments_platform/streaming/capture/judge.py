"""The slot guardian's judgement: from what is seen to what is wrong, how badly, and what to do.

Belongs here: the limits and the alerts' names; each has a page in docs/runbooks. Does not: looking (observe.py),
telling (watch.py). Pure: the same facts give the same findings.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from payments_platform.streaming.capture.facts import CaptureFacts, Finding, Severity, SlotFacts
from payments_platform.streaming.capture.timeline import PARTED

# Down for longer pages somebody; until then the supervision restarts it.
DOWN_CRITICAL: Final = timedelta(minutes=5)
# Share of the log that the slot may hold back.
RETAINED_WARNING, RETAINED_CRITICAL = 0.35, 0.50
FULL_IN_CRITICAL: Final = timedelta(hours=1)
# A running connector confirms what it has stored, but the broker shows what is stored only once it has marked the
# transaction, which on a machine out of processor time took seconds.
UNSEEN_AT_MOST: Final = timedelta(seconds=60)
DELAY_WARNING, DELAY_CRITICAL = timedelta(seconds=10), timedelta(seconds=60)
SNAPSHOT_WARNING: Final = timedelta(minutes=30)

DOWN, GAP, REWOUND, WAL = "capture_down", "capture_gap", "capture_source_rewound", "capture_wal_filling"
DELAYED, INCOMPLETE, SNAPSHOT = "capture_delayed", "capture_incomplete", "capture_snapshot_open"
NOT_COPIED, TOPICS_DIFFER, EPOCH = "capture_slot_not_copied", "capture_topics_differ", "capture_epoch_differs"
ALERTS: Final = (DOWN, GAP, REWOUND, WAL, DELAYED, INCOMPLETE, SNAPSHOT, NOT_COPIED, TOPICS_DIFFER, EPOCH)
_REPAIR: Final = "Run: payments capture repair"


def judge(facts: CaptureFacts) -> list[Finding]:
    """All that is wrong, the worst first. An empty list says that every committed change is captured, and in time.

    What could not be asked is a finding itself, never a silent pass.
    """
    findings = [*_running(facts), *_position(facts), *_log(facts), *_delay(facts), *_tables(facts), *_upkeep(facts)]
    return sorted(findings, key=lambda finding: finding.severity != "critical")


def _running(facts: CaptureFacts) -> Iterator[Finding]:
    """Down means: no task runs, or nobody can say. A person's pause is told of, but pages nobody."""
    paused = facts.connector in {"PAUSED", "STOPPED"}
    if facts.runs and not facts.unreachable:
        return
    since = facts.down_since or facts.at
    lasted = facts.at - since
    severity: Severity = "critical" if lasted >= DOWN_CRITICAL and not paused else "warning"
    if facts.unreachable:
        seen = "; ".join(f"{name}: {why}" for name, why in facts.unreachable.items())
    elif facts.connector is None:
        seen = "there is no connector. Run: payments capture apply"
    elif paused:
        seen = f"the connector is {facts.connector}. Run: payments capture resume"
    else:
        cause = next((line for line in reversed(facts.trace.splitlines()) if "Caused by" in line), "")
        seen = f"connector {facts.connector}, tasks {', '.join(facts.tasks) or 'none'}. {cause or facts.trace[:300]}"
    yield Finding(
        DOWN, severity, f"Change capture does not run, for {lasted.total_seconds():.0f} s: {seen}",
        {"down_seconds": lasted.total_seconds(), "connector": facts.connector, "tasks": list(facts.tasks)},
    )  # fmt: skip


def _position(facts: CaptureFacts) -> Iterator[Finding]:
    """Where the slot stands beside the stored position. The slot follows it; one that is ahead has skipped changes."""
    slot, offset = facts.slot, facts.offset_lsn
    if "source" in facts.unreachable:
        return
    if facts.epoch != facts.connector_epoch and facts.connector_epoch is not None:
        yield Finding(
            EPOCH, "critical",
            f"The connector captures under epoch {facts.connector_epoch}, the platform's is {facts.epoch}."
            " Run: payments capture raise-epoch",
        )  # fmt: skip
    if offset is not None and facts.wal_lsn is not None and offset > facts.wal_lsn:
        yield Finding(
            REWOUND, "critical",
            f"The stored position {offset:,} lies beyond the end of the source's log {facts.wal_lsn:,}: the source was"
            " restored, or a replica without its last changes was promoted. Run: payments capture raise-epoch",
            {"offset_lsn": offset, "wal_lsn": facts.wal_lsn},
        )  # fmt: skip
    elif facts.has_parted:
        yield Finding(REWOUND, "critical", PARTED, {"offset_lsn": offset, "wal_lsn": facts.wal_lsn})
    elif slot is None and (offset is not None or facts.connector is not None):
        yield Finding(GAP, "critical", f"The replication slot is gone: changes since were not captured. {_REPAIR}")
    elif slot is not None and slot.is_lost:
        yield Finding(
            GAP, "critical", f"The replication slot is lost: the server removed log that it still needed. {_REPAIR}",
            {"wal_status": slot.wal_status},
        )  # fmt: skip
    elif facts.before_gap is not None:
        yield Finding(
            GAP, "critical",
            f"Heartbeats are missing on the topic after the one of {facts.before_gap.beat_at:%Y-%m-%d %H:%M:%S} UTC:"
            f" the slot was moved past changes that were not captured. {_REPAIR}",
            {"after": facts.before_gap.beat_at.isoformat()},
        )  # fmt: skip
    elif offset is not None and facts.ahead is not None and _is_gap(facts, facts.ahead.since):
        yield Finding(
            GAP, "critical",
            f"The slot is {facts.ahead.confirmed_lsn - offset:,} bytes ahead of the stored position: it was advanced or"
            f" made anew, and the changes between were not captured. {_REPAIR}",
            {"confirmed_lsn": facts.ahead.confirmed_lsn, "offset_lsn": offset},
        )  # fmt: skip


def _is_gap(facts: CaptureFacts, since: datetime) -> bool:
    """A slot that is ahead while nobody reads has been moved; a reader's own, also one that reconnects, is waited for.

    What was skipped before shows in the heartbeats too.
    """
    return facts.connector != "RUNNING" or facts.at - since >= UNSEEN_AT_MOST


def _log(facts: CaptureFacts) -> Iterator[Finding]:
    """Log that the slot holds back, and when the server will give it up at the present rate."""
    slot = facts.slot
    if slot is None or slot.is_lost or slot.safe_bytes is None:
        return
    share, left = retained_share(slot), seconds_to_full(facts)
    soon = left is not None and left < FULL_IN_CRITICAL.total_seconds() and not slot.is_active
    if share < RETAINED_WARNING and not soon and slot.wal_status != "unreserved":
        return
    critical = share >= RETAINED_CRITICAL or soon or slot.wal_status == "unreserved"
    until = "" if left is None else f" At the present rate the slot is lost in {left / 60:,.0f} min."
    yield Finding(
        WAL, "critical" if critical else "warning",
        f"The slot holds back {slot.retained_bytes / 2**20:,.0f} MiB of log, {share:.0%} of what it may.{until}",
        {"retained_bytes": slot.retained_bytes, "share": round(share, 3), "seconds_to_full": left},
    )  # fmt: skip


def retained_share(slot: SlotFacts) -> float:
    """Share of the allowed log that the slot holds back; 0 when the server sets no limit."""
    if slot.safe_bytes is None:
        return 0.0
    return slot.retained_bytes / max(slot.retained_bytes + max(slot.safe_bytes, 0), 1)


def seconds_to_full(facts: CaptureFacts) -> float | None:
    """When the server gives the slot up if nothing reads and it writes on as it does; None without limit or rate."""
    if facts.slot is None or facts.slot.safe_bytes is None or not facts.wal_bytes_per_second:
        return None
    return max(facts.slot.safe_bytes, 0) / facts.wal_bytes_per_second


def _delay(facts: CaptureFacts) -> Iterator[Finding]:
    """The age of the latest heartbeat that arrived: no payment that was committed later has."""
    if facts.heartbeat is None or not facts.runs:
        return
    age = facts.at - facts.heartbeat.beat_at
    if age < DELAY_WARNING:
        return
    yield Finding(
        DELAYED, "critical" if age >= DELAY_CRITICAL else "warning",
        f"The latest heartbeat that reached Kafka is {age.total_seconds():.0f} s old: changes arrive that late.",
        {"age_seconds": age.total_seconds()},
    )  # fmt: skip


def _tables(facts: CaptureFacts) -> Iterator[Finding]:
    """Tables of which changes or parts of changes would be missed without any error."""
    found = facts.protection
    problems = {
        "are not in the publication, so their changes are not captured": found.unpublished,
        "have no primary key, so their updates and deletes are not captured": found.keyless,
        "have no full replica identity, so unchanged long values are missing": found.not_full,
        "hide their rows from capture by row security": found.hidden,
    }
    for problem, tables in problems.items():
        if tables:
            text = f"{', '.join(tables)} {problem}. See docs/guides/add-a-table-to-capture.md"
            yield Finding(INCOMPLETE, "critical", text, {"tables": list(tables)})


def _upkeep(facts: CaptureFacts) -> Iterator[Finding]:
    for snapshot in facts.open_snapshots:
        if snapshot.reason == "repair":
            text = f"A gap is on record ({snapshot.snapshot_id}) and has not been closed. {_REPAIR}"
            yield Finding(GAP, "critical", text, {"snapshot_id": snapshot.snapshot_id})
        elif facts.at - snapshot.requested_at >= SNAPSHOT_WARNING:
            yield Finding(
                SNAPSHOT, "warning",
                f"Snapshot {snapshot.snapshot_id} ({snapshot.reason}) was asked for at"
                f" {snapshot.requested_at:%Y-%m-%d %H:%M} UTC and is not complete. {_REPAIR}",
                {"snapshot_id": snapshot.snapshot_id, "reason": snapshot.reason},
            )  # fmt: skip
    if facts.is_slot_copied is False:
        text = "The replica has no usable copy of the slot: promoted now, it would need a repair."
        yield Finding(NOT_COPIED, "warning", text)
    if facts.topics_differ:
        yield Finding(TOPICS_DIFFER, "warning", f"{'; '.join(facts.topics_differ)}. See: payments capture apply")
