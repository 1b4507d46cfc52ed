"""Bring the source database to the newest schema.

Belongs here: running the migrations. Does not: the migrations (migrations/), creating the database, the owner or
passwords (local/).
"""

from pathlib import Path

from payments_platform.clients.postgres import PostgresAddress, connect

# Two stacks that migrate one database at once would both create the first table.
_LOCK = 7_204_317


def migrate(address: PostgresAddress) -> None:
    """Apply every migration that the database lacks; safe to repeat. ``address`` logs in as the owner role.

    Raises ``psycopg.OperationalError`` when the server cannot be reached. A failed migration changes nothing.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: connect(address, name="migrate"), poolclass=NullPool
    )
    with engine.connect() as connection:
        driver = connection.connection.cursor()
        driver.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        driver.execute("CREATE SCHEMA IF NOT EXISTS oltp")
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with connect(address, name="migrate") as session:
        session.execute("SELECT oltp.ensure_partitions(current_date, (current_date + interval '3 months')::date)")
