"""What Dagster sees: assets, checks, partitions, schedules and resources, one topic a file."""

import warnings

import dagster as dg

# Backfill policies have been called beta for years; nothing here depends on what may change.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
