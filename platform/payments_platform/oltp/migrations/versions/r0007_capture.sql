-- What change capture writes at the source: its heartbeat, the signals that ask it for a snapshot, and the record of the
-- snapshots asked for. The slot is not made here: one without a reader keeps the log for ever, and whoever runs the daily
-- batch alone has no reader.

-- Row 1 is updated by the connector every second, row 2 by its guardian, whether the connector runs or not. They move the
-- slot on when the captured tables are quiet; their age is the delay of capture; a number that is missing on the topic
-- is a gap; and what a heartbeat had seen is where a gap begins: every transaction that a captured heartbeat saw as
-- committed was captured before it. No clock takes part in that.
CREATE TABLE oltp.capture_heartbeats (
    heartbeat_id smallint PRIMARY KEY CHECK (heartbeat_id IN (1, 2)),
    number bigint NOT NULL,
    beat_at timestamptz NOT NULL,
    seen text NOT NULL
);
INSERT INTO oltp.capture_heartbeats
SELECT who, 1, clock_timestamp(), pg_current_snapshot()::text FROM generate_series(1, 2) who;

-- The form is the connector's: it reads the three columns by their place.
CREATE TABLE oltp.capture_signals (
    id text PRIMARY KEY,
    type text NOT NULL,
    data text
);

-- Every snapshot that capture was asked for: why, under which epoch, and when the last row of it had been delivered.
-- One without completed_at is asked for again, so that a command killed half way leaves no table unread.
CREATE TABLE oltp.capture_snapshots (
    snapshot_id text PRIMARY KEY,
    reason text NOT NULL CHECK (reason IN ('initial', 'repair', 'epoch')),
    tables text[] NOT NULL,
    epoch integer NOT NULL CHECK (epoch >= 1),
    seen text,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at timestamptz
);

GRANT SELECT, UPDATE ON oltp.capture_heartbeats TO payments_capture;
GRANT SELECT, INSERT, UPDATE, DELETE ON oltp.capture_signals TO payments_capture;
GRANT SELECT, INSERT, UPDATE, DELETE ON oltp.capture_snapshots TO payments_capture;
GRANT SELECT ON oltp.capture_heartbeats, oltp.capture_snapshots TO payments_extract;
-- Which keys were ever used: after a failover, a captured row with neither a row nor such a mark was never here.
GRANT SELECT ON oltp.transaction_keys, oltp.retired_keys TO payments_extract;
GRANT EXECUTE ON FUNCTION oltp.captured_tables() TO payments_capture, payments_extract;

ALTER PUBLICATION payments_changes ADD TABLE oltp.capture_heartbeats, oltp.capture_signals;
