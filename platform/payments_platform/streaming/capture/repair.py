"""`payments capture repair` and `raise-epoch`: close a gap, or begin a new epoch after a failover or a restore.

Belongs here: the order of steps, each safe to repeat. Does not: the steps (control.py, snapshots.py, history.py,
phantoms.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from payments_platform.clients.postgres import connect
from payments_platform.streaming.capture import snapshots
from payments_platform.streaming.capture.connector import CONNECTOR
from payments_platform.streaming.capture.control import (
    Capture,
    CaptureGap,
    EpochDiffers,
    drop_slot,
    make_slot,
    run,
    slot_of,
    stop,
)
from payments_platform.streaming.capture.history import changes
from payments_platform.streaming.capture.notices import pulse
from payments_platform.streaming.capture.observe import lsn_of, repaired_at, wal_end
from payments_platform.streaming.capture.phantoms import phantoms
from payments_platform.streaming.capture.republish import republish
from payments_platform.streaming.capture.timeline import PARTED, has_parted

if TYPE_CHECKING:
    import psycopg

# How far before the last captured heartbeat the timelines may have parted: changes since are told again, and rows
# captured since are looked for in the source.
MARGIN: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Repaired:
    """What a repair delivered: current rows by table, changes from the histories by table, phantoms taken back."""

    snapshot_id: str
    made_slot: bool
    rows: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    phantoms: int = 0


def repair(capture: Capture, tables: Sequence[str] = ()) -> Repaired:
    """Close whatever gap there is; without one, deliver the tables again. Return when the last row is readable.

    A slot that is gone, lost, or ahead of the stored position is made anew, the position is forgotten. Then: every
    current row by an incremental snapshot; every version and delete since the last captured heartbeat from the
    histories. Raises EpochDiffers when the source's log is another timeline.
    """
    if capture.connect.configuration(CONNECTOR) is None:
        raise CaptureGap("There is no connector to repair. Run: payments capture apply")
    with capture.session() as session:
        broken = _must_renew(capture, session)
        wanted = tables if tables and not broken else capture.tables
        snapshot_id = snapshots.record(session, capture, "repair", wanted, gap_begins(capture))
    if broken:
        capture.say(f"{broken}: making the slot anew")
        _renew_slot(capture)
    run(capture)
    rows = snapshots.deliver(capture, snapshot_id)
    with capture.session() as session:
        names, seen = snapshots.tables_of(session, snapshot_id)
    made = _republish_history(capture, names, seen)
    with capture.session() as session:
        snapshots.complete(session, snapshot_id)
    return Repaired(snapshot_id, bool(broken), rows, made)


def raise_epoch(capture: Capture, keep: Callable[[int], None]) -> Repaired:
    """Begin ``capture.epoch``: what is captured from now on is newer than anything captured before.

    ``keep`` makes the platform's setting permanent; it is called once nothing more is captured under the old one.
    Records on the topics keep the epoch they carry. Then every current row is delivered under the new epoch, deletes
    of the whole history and changes since the last heartbeat are republished, and rows that only the lost timeline
    had are deleted. Safe to repeat: an interrupted one is taken up by calling it again with the same epoch.
    """
    current = capture.connect.configuration(CONNECTOR)
    if current is None:
        raise CaptureGap("There is no connector yet. Run: payments capture apply")
    running = int(current["transforms.epoch.static.value"])
    if capture.epoch < running:
        raise EpochDiffers(f"The connector captures under epoch {running} already; {capture.epoch} would be older.")
    beats = pulse(capture.kafka)
    stop(capture)
    keep(capture.epoch)
    with capture.session() as session:
        snapshot_id = snapshots.record(session, capture, "epoch", capture.tables, None)
        slot = slot_of(session)
        # A connector that ran on meanwhile may have confirmed its old position: a signal below it is never read.
        made = slot is None or slot.is_lost or slot.confirmed_lsn > wal_end(session)
    if made:
        _renew_slot(capture)
    # The stored position counts bytes of the old timeline; the slot, if it was copied, knows its place on the new one.
    capture.connect.forget_offsets(CONNECTOR)
    capture.connect.configure(CONNECTOR, capture.configuration())
    run(capture)
    rows = snapshots.deliver(capture, snapshot_id)
    since = beats.latest.beat_at - MARGIN if beats else None
    republished = _republish_history(capture, capture.tables, since)
    taken_back = _take_back(capture, since) if since else 0
    with capture.session() as session:
        snapshots.complete(session, snapshot_id)
    return Repaired(snapshot_id, made, rows, republished, taken_back)


def gap_begins(capture: Capture) -> str | None:
    """What had been seen as committed where a gap that is noticed now begins; None: nothing was ever captured."""
    beats = pulse(capture.kafka)
    if beats is None:
        return None
    with capture.session() as session:
        return (beats.open_gap(repaired_at(session)) or beats.latest).seen


def next_epoch(capture: Capture) -> int:
    """The epoch to raise to: the one that was begun and not finished, else the one after the connector's."""
    current = capture.connect.configuration(CONNECTOR)
    running = int(current["transforms.epoch.static.value"]) if current else capture.epoch
    with capture.session() as session:
        row = session.execute(
            "SELECT max(epoch) FROM oltp.capture_snapshots WHERE reason = 'epoch' AND completed_at IS NULL"
        ).fetchone()
    begun = int(str(row[0])) if row and row[0] is not None else 0
    return max(begun, capture.epoch) if max(begun, capture.epoch) > running or begun == running else running + 1


def _must_renew(capture: Capture, session: "psycopg.Connection[tuple[object, ...]]") -> str:
    """Why the slot cannot go on, "" when it can."""
    slot = slot_of(session)
    offset = lsn_of(capture.connect.offsets(CONNECTOR))
    if has_parted(session) or (offset is not None and offset > wal_end(session)):
        raise EpochDiffers(PARTED)
    if slot is None:
        return "the slot is gone"
    if slot.is_lost:
        return "the slot is lost"
    return "the slot is ahead of the stored position" if offset is not None and slot.confirmed_lsn > offset else ""


def _renew_slot(capture: Capture) -> None:
    stop(capture)
    with capture.session() as session:
        drop_slot(session)
        make_slot(session)
    capture.connect.forget_offsets(CONNECTOR)


def _republish_history(capture: Capture, tables: Sequence[str], since: str | datetime | None) -> dict[str, int]:
    """Write what the histories have since; one transaction a table, so that its rows are of one moment."""
    made = {}
    for table in tables:
        with connect(capture.history, name="payments capture") as session:
            made[table] = republish(capture.kafka, changes(session, table, since), capture.epoch)
        capture.say(f"{table}: {made[table]:,} changes from its history")
    return made


def _take_back(capture: Capture, since: datetime) -> int:
    with connect(capture.history, autocommit=True, name="payments capture") as session:
        found = phantoms(session, capture.kafka, capture.tables, since)
        taken_back = republish(capture.kafka, found, capture.epoch)
    capture.say(f"rows that only the lost timeline had: {taken_back:,} taken back")
    return taken_back
