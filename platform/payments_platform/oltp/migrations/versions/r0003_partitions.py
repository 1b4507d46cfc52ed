"""Partitions by month and by day. Runs the SQL file beside it."""

from payments_platform.oltp.migrations.statements import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply the file."""
    run_file("r0003_partitions.sql")
