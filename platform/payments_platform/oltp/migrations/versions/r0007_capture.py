"""Heartbeat, signals and snapshots of change capture. Runs the SQL file beside it."""

from payments_platform.oltp.migrations.statements import run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply the file."""
    run_file("r0007_capture.sql")
