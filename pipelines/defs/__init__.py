"""What Dagster sees: assets, checks, partitions, schedules and resources, one topic a file."""
