"""When billing runs by itself: once a day, for the day that has just ended everywhere."""

from datetime import UTC, timedelta

import dagster as dg

from pipelines.defs.freshness import freshness_checks
from pipelines.runs import DOCUMENTS, DRAFTED

daily_billing = dg.define_asset_job(
    "daily_billing",
    selection=dg.AssetSelection.assets(*DRAFTED, *DOCUMENTS, "warehouse")
    - dg.AssetSelection.checks(*freshness_checks()),
    description="Register and meter what landed, draft what is due, publish. Never posts.",
)


@dg.schedule(
    job=daily_billing,
    cron_schedule="30 12 * * *",
    execution_timezone="UTC",
    description="At 12:30 UTC yesterday has ended in every time zone of the earth.",
)
def every_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run for yesterday; a day that was missed is made up for by the next run."""
    yesterday = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    return dg.RunRequest(run_key=yesterday.isoformat(), partition_key=yesterday.isoformat())
