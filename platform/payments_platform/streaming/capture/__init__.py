"""Change capture: the connector, its topics and slot, what is watched, and how a gap is closed."""
