"""The data platform of a payment company: from PostgreSQL to the star schema, every dataset a Dagster asset."""
