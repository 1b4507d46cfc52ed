"""Roles, grants and row security. Runs the SQL file beside it."""

from payments_platform.oltp.migrations.statements import run_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply the file."""
    run_file("r0004_access.sql")
