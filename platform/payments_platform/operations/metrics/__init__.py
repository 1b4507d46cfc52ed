"""What Prometheus is told of the platform: figures, freshness, alerts."""
