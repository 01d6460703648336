"""What customers are told: as a table that analysts read, and as lines for a mailer.

The table is told again by each run, from whole histories. A notice is handed out once, by
the run that first told of it: it does not wait for a posting.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any

import polars as pl

from billing_core.step import Notice
from pipelines.datasets import PartitionFile, current_files, write_partition
from pipelines.frames import INSTANT, QUANTITY, Schema, readable, table
from pipelines.outbox import Line, hand_out
from pipelines.paths import DataRoot
from pipelines.world import currencies

NOTICES: dict[str, Schema] = {
    "notices": {
        "customer_id": pl.String,
        "notice": pl.Int32,
        "notice_id": pl.String,
        "kind": pl.String,
        "feature": pl.String,
        "invoice_id": pl.String,
        "notice_day": pl.Date,
        "used_quantity": QUANTITY,
        "limit_quantity": QUANTITY,
        "cost": QUANTITY,
        "currency": pl.String,
        "notice_at": INSTANT,
    }
}
"""One row a notice, by (customer_id, notice); `notice` counts from 1. The one partition `all`."""

FILE = "notices.jsonl"
"""What the mailer reads, in the outbox."""


def write_notices(root: DataRoot, notices: Iterable[Notice]) -> PartitionFile:
    """Replace the table by these notices. The writer's lock is held. Rules CHG-8, QTA-5.

    takes: notices of whole histories, those of a customer in the order made.
    """
    ordered = sorted(notices, key=lambda it: (it.customer_id, it.at))
    return write_partition(root, "notices", "all", table(_rows(ordered), NOTICES["notices"]))


def hand_out_notices(
    root: DataRoot, *, locales: Mapping[str, str], default_locale: str = "en"
) -> tuple[Line, ...]:
    """Put the notices that the last run told of into the outbox, each once, in order of time.

    takes:   locales, by customer id.
    returns: the lines that are new; the file is not touched where there are none.
    """
    path = current_files(root, "notices").get("all")
    if path is None:
        return ()
    rows = pl.read_parquet(path, glob=False).sort("notice_at", "customer_id", "notice")
    return hand_out(
        root,
        FILE,
        [
            _line(row, locales.get(row["customer_id"], default_locale))
            for row in rows.iter_rows(named=True)
        ],
    )


def _line(row: Mapping[str, Any], locale: str) -> Line:
    cost = row["cost"]
    digits = 0 if cost is None else currencies()[row["currency"]].minor_digits
    return {
        "id": row["notice_id"],
        "customer_id": row["customer_id"],
        "kind": row["kind"],
        "notice_day": str(row["notice_day"]),
        "notice_at": row["notice_at"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "invoice_id": row["invoice_id"],
        "feature": row["feature"],
        "used": _number(row["used_quantity"]),
        "limit": _number(row["limit_quantity"]),
        "cost": None if cost is None else f"{cost:.{digits}f}",
        "currency": row["currency"],
        "locale": locale,
    }


def _number(value: Decimal | None) -> str | None:
    """A quantity as text, without zeros at its end.

    >>> _number(Decimal("8.500000000")), _number(Decimal("10.000000000")), _number(None)
    ('8.5', '10', None)
    """
    return None if value is None else f"{value.normalize():f}"


def _rows(notices: Iterable[Notice]) -> Iterator[tuple[Any, ...]]:
    seen: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for it in notices:
        numbers[it.customer_id] += 1
        about = it.invoice_id or it.feature or "-"
        name = f"{it.customer_id}/{it.kind}/{about}/{it.at.isoformat().replace('+00:00', 'Z')}"
        seen[name] += 1
        yield (
            it.customer_id,
            numbers[it.customer_id],
            name if seen[name] == 1 else f"{name}/{seen[name]}",
            it.kind,
            it.feature,
            it.invoice_id,
            it.on,
            None if it.used is None else readable(it.used),
            None if it.limit is None else readable(it.limit),
            it.cost and it.cost.major,
            it.cost and it.cost.currency.code,
            it.at,
        )
