"""The source tables, as external assets."""
