"""The day's history of each source table, extracted from the replica."""
