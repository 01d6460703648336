"""What came in: files registered with their landing day, and the usage that each day adds."""

from collections.abc import Iterator
from decimal import Decimal

import dagster as dg
import polars as pl

from pipelines import steps
from pipelines.defs.metadata import facts, observe_days
from pipelines.defs.partitions import SINGLE_RUN, WRITER, days, days_asked, last_day
from pipelines.defs.plots import plot
from pipelines.defs.resources import DataRootResource

COUNTS = ("rows", "filtered", "counted", "duplicates", "conflicts", "set_aside", "retracted")
"""What a receipt says of the rows of a file. Rule USE-6."""

THE_DAY_BEFORE = dg.TimeWindowPartitionMapping(
    start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
)


@dg.multi_asset(
    name="land",
    specs=[
        dg.AssetSpec(
            "landing_files",
            description="Usage files, each with its hash and the day on which it landed.",
        ),
        dg.AssetSpec("actions", description="Action files, registered in the same way."),
    ],
    partitions_def=days,
    group_name="inputs",
    backfill_policy=SINGLE_RUN,
    pool=WRITER,
)
def land(
    context: dg.AssetExecutionContext, data_root: DataRootResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Registers every file in the folders of days up to the last day asked for."""
    landed = steps.land(data_root.root, last_day(context))
    files, problems = landed.usage.register.files, landed.usage.problems
    yield dg.MaterializeResult(
        asset_key="landing_files",
        metadata=facts(
            files=len(files),
            new_files=len(landed.usage.new),
            rows_in=sum(file.rows or 0 for file in files),
            faults=len(problems),
            problems="\n".join(map(str, problems)),
        ),
    )
    yield dg.MaterializeResult(asset_key="actions", metadata=facts(files=len(landed.actions)))


@dg.asset(
    partitions_def=days,
    deps=["landing_files", dg.AssetDep("usage_daily", partition_mapping=THE_DAY_BEFORE)],
    group_name="inputs",
    backfill_policy=SINGLE_RUN,
    pool=WRITER,
)
def usage_daily(
    context: dg.AssetExecutionContext, data_root: DataRootResource
) -> dg.MaterializeResult[None]:
    """What each landing day adds to known usage: every event once, its tokens priced."""
    metered = steps.meter(data_root.root, last_day(context))
    by_day = metered.receipts.group_by("landing_day").agg(pl.col(*COUNTS).sum())
    # a run through a day meters the missing days before it too
    shown = {*days_asked(context), *metered.days}
    asked = by_day.filter(pl.col("landing_day").is_in(shown)).sort("landing_day")
    observe_days(
        context,
        "usage_daily",
        {row.pop("landing_day"): row for row in asked.iter_rows(named=True)},
    )
    sums = {name: asked[name].sum() for name in COUNTS}
    return dg.MaterializeResult(
        metadata=facts(
            rows_in=sums.pop("rows"),
            rows_out=sums["counted"],
            faults=len(metered.problems),
            **sums,
            days_metered=len(metered.days),
            problems="\n".join(map(str, metered.problems)),
            plot=_events_by_day(by_day),
            preview=asked,
        )
    )


def _events_by_day(by_day: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """What was counted and what was not of each landing day's rows."""
    landed = by_day.select("landing_day", "counted", "duplicates", "set_aside").rows()
    series = {
        name: {row[0]: Decimal(row[place]) for row in landed}
        for place, name in enumerate(("counted", "duplicates", "set aside"), start=1)
    }
    return plot({"events by landing day": series})
