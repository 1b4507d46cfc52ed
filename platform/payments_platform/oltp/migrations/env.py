"""Alembic's entry: runs the revisions on the connection that migrate() hands over, in one transaction."""

from alembic import context

with context.config.attributes["connection"].begin():
    context.configure(connection=context.config.attributes["connection"], version_table_schema="oltp")
    context.run_migrations()
