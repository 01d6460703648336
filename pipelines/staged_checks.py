"""What must hold of staged files before anything built on them is published.

Each check is a query under `sql/checks/` that returns what must not be there; here it is
put to the datasets as they lie now, before a warehouse is built of them.
"""

from collections.abc import Mapping

import duckdb
import polars as pl

from pipelines.datasets import current_files
from pipelines.drafts import NoDrafts, draft_frames, read_summary
from pipelines.frames import InvoiceFrames, invoice_frames
from pipelines.paths import DataRoot, sql_text
from pipelines.usage_frames import USAGE_RECEIPTS, empty
from pipelines.warehouse import CheckResult


def landed_rows(root: DataRoot) -> CheckResult:
    """Each row of each landed file ended in exactly one place. Rule USE-6."""
    paths = current_files(root, "usage_receipts").values()
    receipts = pl.concat([empty(USAGE_RECEIPTS), *(pl.read_parquet(path) for path in paths)])
    return _checked("landed_rows", {"usage_receipts": receipts})


def draft_totals(root: DataRoot) -> CheckResult:
    """The lines of each drafted invoice add up to its totals. Rule INV-9."""
    frames = _drafted(root)
    invoices = frames.invoices.with_columns(number=pl.lit(None, pl.String))
    return _checked("invoice_totals", {"invoices": invoices, "invoice_lines": frames.lines})


def _drafted(root: DataRoot) -> InvoiceFrames:
    try:
        return draft_frames(root, read_summary(root))
    except NoDrafts:
        return invoice_frames(())


def _checked(name: str, tables: Mapping[str, pl.DataFrame]) -> CheckResult:
    text = sql_text(f"checks/{name}")
    with duckdb.connect() as connection:
        for table, rows in tables.items():
            connection.register(table, rows)
        found = connection.sql(text).pl()
    return CheckResult(
        name=name,
        what=text.splitlines()[0].removeprefix("-- what:").strip(),
        offending=found.height,
        first="" if found.is_empty() else str(found.row(0, named=True)),
    )
