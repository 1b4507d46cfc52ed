"""Row versions, history, immutables. Runs the SQL file beside it."""

from payments_platform.oltp.migrations.statements import run_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply the file."""
    run_file("r0002_versions.sql")
