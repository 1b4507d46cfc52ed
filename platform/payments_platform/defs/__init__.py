"""Assets, checks, resources, jobs and sensors, one module per dataset, grouped by zone."""
