-- Which timeline of the log a snapshot was asked for on. A promoted replica and a restored copy begin a new one, and
-- bring this record with them: the epoch that is on record is of another life of the source than the one that runs.
-- Positions in the log do not show it for long: the new life soon reaches the numbers that the lost one had.
ALTER TABLE oltp.capture_snapshots
    ADD COLUMN timeline text NOT NULL DEFAULT left(pg_walfile_name(pg_current_wal_lsn()), 8);
