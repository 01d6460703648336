"""Whether yesterday is there: a check of each daily asset's last partition, and when it looks.

Freshness policies do not know partitions, so these are checks. They warn and stop nothing.
"""

import warnings

import dagster as dg

from pipelines.runs import DRAFTED

DUE = "30 13 * * *"
"""By when yesterday's partition must be there, UTC: an hour after the daily run begins."""


def freshness_checks() -> list[dg.AssetChecksDefinition]:
    """One check for each asset of the daily run: is the last partition materialised in time?"""
    with warnings.catch_warnings():
        # Dagster's own page asks for policies instead, which do not know partitions.
        warnings.simplefilter("ignore")
        return list(
            dg.build_time_partition_freshness_checks(
                assets=list(DRAFTED),
                deadline_cron=DUE,
                severity=dg.AssetCheckSeverity.WARN,
                blocking=False,
            )
        )


freshness = dg.define_asset_job(
    "freshness",
    selection=dg.AssetSelection.checks(*freshness_checks()),
    description="Looks whether yesterday's partitions are there; warns where they are not.",
)

look_for_yesterday = dg.ScheduleDefinition(
    name="look_for_yesterday", job=freshness, cron_schedule="35 13 * * *"
)
