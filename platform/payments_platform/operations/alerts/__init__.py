"""Alerts: rules as code, the state of each alert, and the messages that its opening and its close bring."""
