"""The tables, and the reference data that the code knows. Runs the SQL file beside it."""

from payments_platform.oltp.migrations.statements import insert_reference, run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply the file."""
    run_file("r0001_tables.sql")
    insert_reference()
