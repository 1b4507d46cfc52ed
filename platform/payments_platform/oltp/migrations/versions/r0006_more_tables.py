"""Devices, refunds, disputes, subscriptions and consents, captured as well. Runs the SQL file beside it."""

from payments_platform.oltp.migrations.statements import run_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply the file."""
    run_file("r0006_more_tables.sql")
