"""The speed layer: from change messages to stores, by long-lived workers that Dagster watches and never is part of."""
