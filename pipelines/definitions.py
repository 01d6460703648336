"""All that Dagster loads, for one data root: `dg dev`, `dagster dev` and the command line.

The assets are written once, under `pipelines/defs/`; here they get the days of a root.
"""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg

from pipelines import defs as topics
from pipelines.defs.freshness import freshness, freshness_checks, look_for_yesterday
from pipelines.defs.partitions import days_of, months_of
from pipelines.defs.resources import DataRootResource
from pipelines.defs.schedules import daily_billing, every_day
from pipelines.paths import DataRoot


def assets_of(root: DataRoot, *, through: date | None = None) -> list[dg.AssetsDefinition]:
    """Every asset, with the days and months of a root up to yesterday or `through`."""
    last = through or datetime.now(UTC).date() - timedelta(days=1)
    days, months = days_of(root, last), months_of(root, last)

    def dated(spec: dg.AssetSpec) -> dg.AssetSpec:
        match spec.partitions_def:
            case dg.DailyPartitionsDefinition():
                return spec.replace_attributes(partitions_def=days)
            case dg.MonthlyPartitionsDefinition():
                return spec.replace_attributes(partitions_def=months)
            case _:
                return spec

    loaded = dg.load_assets_from_package_module(topics)
    return [it.map_asset_specs(dated) for it in loaded if isinstance(it, dg.AssetsDefinition)]


def checks() -> list[dg.AssetChecksDefinition]:
    """The checks that guard publication by themselves; others are made by their assets."""
    return list(dg.load_asset_checks_from_package_module(topics))


def resources_of(root: DataRoot) -> dict[str, DataRootResource]:
    """What assets read from and write to."""
    return {"data_root": DataRootResource(path=str(root.root))}


def definitions_of(root: DataRoot) -> dg.Definitions:
    """What Dagster's pages and daemon work with."""
    return dg.Definitions(
        assets=assets_of(root),
        asset_checks=[*checks(), *freshness_checks()],
        jobs=[daily_billing, freshness],
        schedules=[every_day, look_for_yesterday],
        resources=resources_of(root),
        executor=dg.in_process_executor,
    )


defs = definitions_of(DataRoot(Path(os.environ.get("FAIRBILL_ROOT", "data")).absolute()))
