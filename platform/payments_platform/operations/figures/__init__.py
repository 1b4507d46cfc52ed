"""Figures of the platform itself: how its jobs do by the week, and its service levels by the month."""
