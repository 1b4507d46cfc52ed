"""The dbt project: staging, intermediate, marts and aggregates."""
