"""What customers were told, as a table that analysts read."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl

from billing_core.money import Money
from billing_core.step import Notice
from pipelines.datasets import current_files
from pipelines.notices import write_notices
from pipelines.paths import DataRoot
from tests.billing_core.builders import USD, instant


def test_notices_are_numbered_by_customer_in_order_of_time(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    at = instant("2026-04-10 12:00")
    warned = Notice(
        "b",
        "downgrade_warning",
        date(2026, 4, 10),
        at,
        feature="editors",
        used=Fraction(8),
        limit=Fraction(5),
        cost=Money(7500, USD),
    )
    due = Notice("b", "past_due", date(2026, 4, 2), instant("2026-04-02"))
    write_notices(root, [warned, due, Notice("a", "past_due", date(2026, 5, 1), at)])
    rows = pl.read_parquet(current_files(root, "notices")["all"]).to_dicts()
    assert [(row["customer_id"], row["notice"], row["kind"]) for row in rows] == [
        ("a", 1, "past_due"),
        ("b", 1, "past_due"),
        ("b", 2, "downgrade_warning"),
    ]
    last = rows[-1]
    assert (last["feature"], last["notice_day"]) == ("editors", date(2026, 4, 10))
    figures = (last["used_quantity"], last["limit_quantity"], last["cost"], last["currency"])
    assert figures == (8, 5, Decimal("75.00"), "USD")
    assert (rows[0]["used_quantity"], rows[0]["cost"]) == (None, None)
