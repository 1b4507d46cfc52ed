"""Days loaded into the warehouse."""
