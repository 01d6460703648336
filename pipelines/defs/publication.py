"""The warehouse that analysts read, and the checks that stand before it."""

import dagster as dg
import polars as pl

from pipelines.defs.metadata import facts
from pipelines.defs.partitions import WRITER
from pipelines.defs.resources import DataRootResource
from pipelines.warehouse import publish


@dg.asset(
    deps=["usage_daily", "usage_snapshots", "drafts", "books", "outbox"],
    group_name="publication",
    pool=WRITER,
)
def warehouse(data_root: DataRootResource) -> dg.MaterializeResult[None]:
    """`warehouse.duckdb`, replaced by one rename if what it is made of has changed."""
    published = publish(data_root.root)
    return dg.MaterializeResult(
        metadata=facts(
            publication=published.publication.publication,
            is_new=published.is_new,
            posting=published.publication.posting,
            path=str(published.path),
            rows_out=sum(published.rows.values()),
            tables=pl.DataFrame({"table": published.rows.keys(), "rows": published.rows.values()}),
        )
    )
