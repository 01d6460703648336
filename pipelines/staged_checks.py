"""What must hold of staged files before anything built on them is published.

Each check is a query under `sql/checks/` that returns what must not be there; here it is
put to the datasets as they lie now, before a warehouse is built of them.
"""

from collections.abc import Mapping

import duckdb
import polars as pl

from pipelines.ai_prices import read_ai_prices
from pipelines.drafts import NoDrafts, draft_frames, read_summary
from pipelines.frames import InvoiceFrames, invoice_frames
from pipelines.paths import DataRoot, sql_text
from pipelines.snapshots import CHECKS, failed_checks
from pipelines.steps import Drafted, metering_spec
from pipelines.warehouse import CheckResult


def what_of(name: str) -> str:
    """What a check looks for, as its file says in its first lines.

    >>> what_of("invoice_totals")
    'invoices whose lines do not add up to their subtotal, tax and total'
    """
    header = sql_text(f"checks/{name}").partition("-- grain:")[0]
    said = header.removeprefix("-- what:").replace("\n--", " ")
    return " ".join(said.split())


def usage_checks(root: DataRoot, drafted: Drafted) -> list[CheckResult]:
    """What was received is what was rated or is set aside, on all three levels. Rule USE-6."""
    known = drafted.known
    failed = failed_checks(
        root,
        drafted.rated.requests,
        customers=known.customers,
        spec=metering_spec(known.catalogs, read_ai_prices(root)),
        through=drafted.summary.through,
    )
    return [_result(name, failed.get(name)) for name in CHECKS]


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
    with duckdb.connect() as connection:
        for table, rows in tables.items():
            connection.register(table, rows)
        return _result(name, connection.sql(sql_text(f"checks/{name}")).pl())


def _result(name: str, found: pl.DataFrame | None) -> CheckResult:
    if found is None or found.is_empty():
        return CheckResult(name=name, what=what_of(name), offending=0, first="")
    return CheckResult(name, what_of(name), found.height, str(found.row(0, named=True)))
