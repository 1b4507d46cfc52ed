"""What change capture may read. Runs the SQL file beside it."""

from payments_platform.oltp.migrations.statements import run_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply the file."""
    run_file("r0005_publication.sql")
