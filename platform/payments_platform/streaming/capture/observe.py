"""Looking at change capture: the source, Connect, the heartbeat, the replica.

Belongs here: gathering facts; a server that does not answer is a fact. Does not: what they mean (judge.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from payments_platform.clients.connect import Connect
from payments_platform.clients.kafka import admin
from payments_platform.clients.postgres import PostgresAddress, connect
from payments_platform.contracts.streams import CAPTURED_TABLES, TOPICS
from payments_platform.streaming.capture.connector import CONNECTOR, HEARTBEAT_TABLE, PUBLICATION, SIGNAL_TABLE, SLOT
from payments_platform.streaming.capture.facts import Ahead, CaptureFacts, OpenSnapshot, Protection, SlotFacts
from payments_platform.streaming.capture.notices import pulse
from payments_platform.streaming.capture.timeline import has_parted
from payments_platform.streaming.topics import ONE_BROKER, Durability, topic_differences

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
_NO_DIFFERENCE: Final[tuple[str, ...]] = ()
_LIMIT: Final = "SET statement_timeout = '5s'"


@dataclass(frozen=True)
class Places:
    """Where capture's parts are, each as the least role that may look. ``replica`` None: there is none to look at."""

    source: PostgresAddress
    connect: Connect
    kafka: str
    epoch: int
    replica: PostgresAddress | None = None
    durability: Durability = ONE_BROKER


def observe(places: Places, before: CaptureFacts | None = None) -> CaptureFacts:
    """Gather all facts now. With the facts from ``before``, the rate of the log and the time of going down are known.

    Raises nothing for a server that is away: the fact is in ``unreachable``.
    """
    unreachable: dict[str, str] = {}

    def ask(name: str, question: Callable[[], T], otherwise: T) -> T:
        try:
            return question()
        except Exception as error:  # noqa: BLE001  # every client has its own; whichever it is, it is told
            unreachable[name] = str(error).strip().splitlines()[0][:300]
            return otherwise

    # The slot, then the stored position, then the end of the log: each only grows, so one that is seen ahead of a later
    # one is ahead.
    repaired_at = ask("source", lambda: _repaired_at(places.source), None)
    source: dict[str, Any] = ask("source", lambda: _source(places.source), dict[str, Any]())
    offset = ask("connect", lambda: places.connect.offsets(CONNECTOR), None)
    state = ask("connect", lambda: places.connect.state(CONNECTOR), None)
    configured = ask("connect", lambda: places.connect.configuration(CONNECTOR), None)
    wal = ask("source", lambda: _wal(places.source), None)
    differ = ask("kafka", lambda: topic_differences(admin(places.kafka), TOPICS, places.durability), _NO_DIFFERENCE)
    beats = ask("kafka", lambda: pulse(places.kafka), None)
    facts = CaptureFacts(
        at=datetime.now(UTC),
        epoch=places.epoch,
        **source,
        wal_lsn=wal,
        connector=state.connector if state else None,
        tasks=state.tasks if state else (),
        trace=state.trace if state else "",
        connector_epoch=int(configured["transforms.epoch.static.value"]) if configured else None,
        offset_lsn=lsn_of(offset),
        heartbeat=beats.latest if beats else None,
        before_gap=beats.open_gap(repaired_at) if beats else None,
        # Before apply made the first ones, nothing differs.
        topics_differ=differ if configured else (),
        is_slot_copied=_copied(places, unreachable) if source.get("slot") else None,
        unreachable=unreachable,
    )
    return _since(facts, before)


def lsn_of(offset: dict[str, Any] | None) -> int | None:
    """How far the log has been captured by a stored offset.

    Changes come in the order of commits: those of a transaction that was open for long lie before the latest commit,
    which is what the connector confirms to the slot.
    """
    return max((int(offset[name]) for name in ("lsn", "lsn_commit") if offset and offset.get(name)), default=None)


def _since(facts: CaptureFacts, before: CaptureFacts | None) -> CaptureFacts:
    is_up = facts.runs and not facts.unreachable
    down = None if is_up else (before.down_since if before and before.down_since else facts.at)
    rate = None
    if before is not None and before.wal_lsn is not None and facts.wal_lsn is not None:
        seconds = (facts.at - before.at).total_seconds()
        now = max(facts.wal_lsn - before.wal_lsn, 0) / seconds if seconds > 0 else 0.0
        # Smoothed over about a minute of looks, so that one burst does not forecast a full disk.
        rate = now if before.wal_bytes_per_second is None else 0.9 * before.wal_bytes_per_second + 0.1 * now
    return replace(facts, down_since=down, wal_bytes_per_second=rate, ahead=_ahead(facts, before))


def _ahead(facts: CaptureFacts, before: CaptureFacts | None) -> Ahead | None:
    """Where the slot was seen ahead of the stored position, as long as the position has not come there."""
    if facts.slot is None or facts.offset_lsn is None:
        return before.ahead if before else None
    if before is not None and before.ahead is not None and facts.offset_lsn < before.ahead.confirmed_lsn:
        return before.ahead
    confirmed = facts.slot.confirmed_lsn
    return Ahead(facts.at, confirmed) if confirmed > facts.offset_lsn else None


def _source(address: PostgresAddress) -> dict[str, Any]:
    with connect(address, autocommit=True, name="payments capture") as session:
        session.execute(_LIMIT)
        return {
            "slot": slot_facts(session),
            "has_parted": has_parted(session),
            "protection": protection(session, CAPTURED_TABLES),
            "open_snapshots": tuple(
                OpenSnapshot(str(row[0]), str(row[1]), row[2])  # type: ignore[arg-type]
                for row in session.execute(
                    "SELECT snapshot_id, reason, requested_at FROM oltp.capture_snapshots WHERE completed_at IS NULL"
                )
            ),
        }


def slot_facts(session: "psycopg.Connection[tuple[object, ...]]") -> SlotFacts | None:
    """The slot as the server shows it, None when there is none."""
    row = session.execute(
        "SELECT wal_status, active, coalesce(confirmed_flush_lsn - '0/0', 0),"
        " coalesce(pg_current_wal_lsn() - restart_lsn, 0), safe_wal_size, failover"
        " FROM pg_replication_slots WHERE slot_name = %s",
        (SLOT,),
    ).fetchone()
    if row is None:
        return None
    safe = None if row[4] is None else int(str(row[4]))
    return SlotFacts(str(row[0]), bool(row[1]), int(str(row[2])), int(str(row[3])), safe, bool(row[5]))


def protection(session: "psycopg.Connection[tuple[object, ...]]", tables: Sequence[str]) -> Protection:
    """Which tables are not captured whole: those of the contract, and whatever else has a history at the source."""
    known = {str(name) for (name,) in session.execute("SELECT oltp.captured_tables()")} | set(tables)
    published = {
        str(name)
        for (name,) in session.execute("SELECT tablename FROM pg_publication_tables WHERE pubname = %s", (PUBLICATION,))
    }
    wanted = sorted({*known, HEARTBEAT_TABLE, SIGNAL_TABLE})
    return Protection(
        unpublished=tuple(sorted({*wanted} - published | (known - set(tables)))),
        keyless=_names(session, _KEYLESS, wanted),
        not_full=_names(session, _NOT_FULL, sorted(known)),
        hidden=_names(session, _HIDDEN, wanted),
    )


_KEYLESS: Final = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'oltp'::regnamespace AND c.relname = ANY(%s)
   AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)"""
# A partitioned table's identity does not reach its leaves: each has its own.
_NOT_FULL: Final = """
SELECT leaf.relid::regclass::text FROM pg_class c, pg_partition_tree(c.oid) leaf JOIN pg_class l ON l.oid = leaf.relid
 WHERE c.relnamespace = 'oltp'::regnamespace AND c.relname = ANY(%s) AND leaf.isleaf AND l.relreplident <> 'f'
UNION ALL
SELECT c.oid::regclass::text FROM pg_class c
 WHERE c.relnamespace = 'oltp'::regnamespace AND c.relname = ANY(%s) AND c.relkind = 'r' AND c.relreplident <> 'f'"""
_HIDDEN: Final = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'oltp'::regnamespace AND c.relname = ANY(%s)
   AND c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*')
       AND (p.polroles = '{0}' OR 'payments_capture'::regrole = ANY(p.polroles)))"""


def _names(session: "psycopg.Connection[tuple[object, ...]]", query: str, tables: Sequence[str]) -> tuple[str, ...]:
    rows = session.execute(query, (list(tables),) * query.count("%s")).fetchall()
    return tuple(sorted({str(name) for (name,) in rows}))


def _copied(places: Places, unreachable: dict[str, str]) -> bool | None:
    """Whether the replica could go on from the slot. A replica that is away cannot; that is its own alert's matter."""
    if places.replica is None or "source" in unreachable:
        return None
    try:
        with connect(places.replica, autocommit=True, name="payments capture") as session:
            row = session.execute(
                "SELECT synced AND NOT temporary AND invalidation_reason IS NULL FROM pg_replication_slots"
                " WHERE slot_name = %s",
                (SLOT,),
            ).fetchone()
    except Exception:  # noqa: BLE001  # see the docstring
        return False
    return bool(row and row[0])


def _repaired_at(address: PostgresAddress) -> datetime | None:
    with connect(address, autocommit=True, name="payments capture") as session:
        return repaired_at(session)


def repaired_at(session: "psycopg.Connection[tuple[object, ...]]") -> datetime | None:
    """When the last repair or epoch that was finished had been asked for: what was seen before is closed."""
    row = session.execute(
        "SELECT max(requested_at) FROM oltp.capture_snapshots WHERE completed_at IS NOT NULL AND reason <> 'initial'"
    ).fetchone()
    return row[0] if row else None  # type: ignore[return-value]


def _wal(address: PostgresAddress) -> int:
    with connect(address, autocommit=True, name="payments capture") as session:
        return wal_end(session)


def wal_end(session: "psycopg.Connection[tuple[object, ...]]") -> int:
    """The end of the source's log now."""
    row = session.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()
    return int(str(row[0])) if row else 0
