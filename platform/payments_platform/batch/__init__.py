"""Extract, validate, quarantine, conform, reconcile: pure functions on frames."""
