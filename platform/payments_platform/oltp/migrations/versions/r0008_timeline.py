"""The timeline of the snapshots of change capture. Runs the SQL file beside it."""

from payments_platform.oltp.migrations.statements import run_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply the file."""
    run_file("r0008_timeline.sql")
