"""What customers were told, as a table that analysts and mailings read.

It is told again by each run, from whole histories; nothing reads it back.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from billing_core.step import Notice
from pipelines.datasets import PartitionFile, write_partition
from pipelines.frames import INSTANT, QUANTITY, Schema, readable, table
from pipelines.paths import DataRoot

NOTICES: dict[str, Schema] = {
    "notices": {
        "customer_id": pl.String,
        "notice": pl.Int32,
        "kind": pl.String,
        "feature": pl.String,
        "notice_day": pl.Date,
        "used_quantity": QUANTITY,
        "limit_quantity": QUANTITY,
        "cost": QUANTITY,
        "currency": pl.String,
        "notice_at": INSTANT,
    }
}
"""One row a notice, by (customer_id, notice); `notice` counts from 1. The one partition `all`."""


def write_notices(root: DataRoot, notices: Iterable[Notice]) -> PartitionFile:
    """Replace the table by these notices. The writer's lock is held. Rules CHG-8, QTA-5.

    takes: notices of whole histories, those of a customer in the order made.
    """
    ordered = sorted(notices, key=lambda it: (it.customer_id, it.at))
    return write_partition(root, "notices", "all", table(_rows(ordered), NOTICES["notices"]))


def _rows(notices: Iterable[Notice]) -> Iterator[tuple[Any, ...]]:
    number, last = 0, None
    for it in notices:
        number, last = (number + 1 if it.customer_id == last else 1), it.customer_id
        yield (
            it.customer_id,
            number,
            it.kind,
            it.feature,
            it.on,
            None if it.used is None else readable(it.used),
            None if it.limit is None else readable(it.limit),
            it.cost and it.cost.major,
            it.cost and it.cost.currency.code,
            it.at,
        )
