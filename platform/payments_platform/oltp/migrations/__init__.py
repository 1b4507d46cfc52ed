"""Schema history of the source database: an Alembic environment whose revisions run SQL files."""
