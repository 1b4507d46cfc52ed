"""Days split by the quality rules; quarantine is made together with clean."""
