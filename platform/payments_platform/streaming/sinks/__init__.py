"""Sinks: one store each, fed from analytics.transactions by writes that may be repeated and come in any order."""
