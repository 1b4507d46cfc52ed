"""Conformed, pseudonymous days: what the warehouse and the models read."""
