"""The revisions, in order: a small Python file and an SQL file each."""
