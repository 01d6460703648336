"""All that Dagster loads, for one data root: `dg dev`, `dagster dev` and the command line.

The assets are written once, under `pipelines/defs/`; here they get the days of a root.
"""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg

from pipelines import defs as topics
from pipelines.defs.partitions import days_of, months_of
from pipelines.defs.resources import DataRootResource
from pipelines.defs.schedules import daily_billing, every_day
from pipelines.paths import DataRoot


def definitions_for(root: DataRoot, *, through: date | None = None) -> dg.Definitions:
    """The assets and checks of a data root, with its days up to today or `through`."""
    last = through or datetime.now(UTC).date()
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
    assets = [asset for asset in loaded if isinstance(asset, dg.AssetsDefinition)]
    return dg.Definitions(
        assets=[asset.map_asset_specs(dated) for asset in assets],
        asset_checks=dg.load_asset_checks_from_package_module(topics),
        jobs=[daily_billing],
        schedules=[every_day],
        resources={"data_root": DataRootResource(path=str(root.root))},
        executor=dg.in_process_executor,
    )


defs = definitions_for(DataRoot(Path(os.environ.get("FAIRBILL_ROOT", "data")).absolute()))
