"""`payments capture apply`: topics, connector, slot and first snapshot as the code has them. Safe to repeat.

Belongs here: the order of making things, and when to refuse. Does not: closing gaps (repair.py), changing the epoch
(epoch.py).
"""

from dataclasses import dataclass, field, replace

from payments_platform.clients.kafka import admin
from payments_platform.contracts.streams import CHANGE_TOPICS, ROOM_BESIDE, TOPICS, TopicSpec
from payments_platform.streaming.capture import snapshots
from payments_platform.streaming.capture.connector import CONNECTOR, CONNECTOR_CLASS
from payments_platform.streaming.capture.control import (
    Capture,
    CaptureGap,
    ConfigurationRefused,
    EpochDiffers,
    drop_slot,
    make_slot,
    run,
    slot_of,
    stop,
)
from payments_platform.streaming.capture.timeline import PARTED, has_parted
from payments_platform.streaming.topics import TopicsReport, ensure_topics


@dataclass(frozen=True)
class Applied:
    """What ``apply`` changed; nothing when everything was there already."""

    topics: TopicsReport
    connector: str
    made_slot: bool
    snapshot: dict[str, int] = field(default_factory=dict)


def apply(capture: Capture) -> Applied:
    """Bring capture to what the code says, and have every existing row delivered once.

    The slot is made before any row is read, so no change falls between. A slot that is missing although a position is
    stored is a gap and is never made anew here. Raises CaptureGap, EpochDiffers, ConfigurationRefused, and what the
    servers' clients raise.
    """
    topics = ensure_topics(admin(capture.kafka), topics_of(capture), capture.durability)
    wanted = capture.configuration()
    if problems := capture.connect.validate(CONNECTOR_CLASS, wanted):
        raise ConfigurationRefused("The connector's configuration is wrong: " + "; ".join(problems))
    current = capture.connect.configuration(CONNECTOR)
    _refuse_other_epoch(capture, current)
    if current is not None:
        _refuse_other_timeline(capture)
    if current is None:
        capture.connect.create(CONNECTOR, wanted, "STOPPED")
        capture.connect.await_state(CONNECTOR, "STOPPED")
    made = _ensure_slot(capture)
    if current is not None and current != wanted:
        capture.connect.configure(CONNECTOR, wanted)
    changed = "created" if current is None else "unchanged" if current == wanted else "changed"
    state = capture.connect.state(CONNECTOR)
    if state is not None and state.connector == "PAUSED":
        # A person paused it: what is configured holds when it is resumed.
        return Applied(topics, f"{changed}, paused", made)
    run(capture)
    return Applied(topics, changed, made, finish(capture))


def remove(capture: Capture) -> None:
    """Take capture away whole: connector, stored position, slot, and the record of what was delivered. Topics stay.

    A later ``apply`` begins anew: it makes the slot and delivers every row. Safe to repeat and to interrupt.
    """
    if capture.connect.configuration(CONNECTOR) is not None:
        stop(capture)
        if capture.connect.offsets(CONNECTOR) is not None:
            capture.connect.forget_offsets(CONNECTOR)
        capture.connect.delete(CONNECTOR)
    with capture.session() as session:
        drop_slot(session)
        session.execute("DELETE FROM oltp.capture_signals")
        session.execute("DELETE FROM oltp.capture_snapshots")


def finish(capture: Capture) -> dict[str, int]:
    """Deliver the first snapshot if it is on record as open; an interrupted repair is the repair's to finish."""
    with capture.session() as session:
        waiting = snapshots.open_snapshot(session)
    if waiting is None or waiting[1] != "initial":
        return {}
    rows = snapshots.deliver(capture, waiting[0])
    with capture.session() as session:
        snapshots.complete(session, waiting[0])
    return rows


def topics_of(capture: Capture) -> list[TopicSpec]:
    """The topics, those of changes with room for the largest that is captured here."""
    largest = capture.largest_change + ROOM_BESIDE
    return [replace(spec, largest_message=largest) if spec in CHANGE_TOPICS else spec for spec in TOPICS]


def _refuse_other_epoch(capture: Capture, current: dict[str, str] | None) -> None:
    running = None if current is None else int(current["transforms.epoch.static.value"])
    if running is not None and running != capture.epoch:
        raise EpochDiffers(
            f"The connector captures under epoch {running}, the platform's is {capture.epoch}. After a failover or a"
            " restore run: payments capture raise-epoch"
        )


def _refuse_other_timeline(capture: Capture) -> None:
    """Going on under the old epoch, new changes would stand behind lost ones of the same version."""
    with capture.session() as session:
        if has_parted(session):
            raise EpochDiffers(PARTED)


def _ensure_slot(capture: Capture) -> bool:
    """Make the slot if capture has never run; return whether it was made."""
    stored = capture.connect.offsets(CONNECTOR)
    with capture.session() as session:
        slot = slot_of(session)
        if slot is not None and not slot.is_lost:
            _record_first(capture)
            return False
        if stored is not None:
            raise CaptureGap(
                "A position is stored, but the replication slot is"
                f" {'lost' if slot else 'gone'}: changes were missed. Run: payments capture repair"
            )
        # On record first: a command killed after the next line would leave the rows of before unread.
        _record_first(capture)
        make_slot(session)
    return True


def _record_first(capture: Capture) -> None:
    """Put the first snapshot on record unless one was ever delivered or asked for."""
    with capture.session() as session:
        row = session.execute("SELECT 1 FROM oltp.capture_snapshots LIMIT 1").fetchone()
        if row is None:
            snapshots.record(session, capture, "initial", capture.tables, None)
