"""Whose invoices wait for somebody to decide, why, and since which landing day.

A hold lasts until its cause is gone or is decided on, or until the founder releases it. It
is a customer's own; all others are posted.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import polars as pl

from billing_core.actions import Action, DecideConflict, ReleaseHold, may_do
from pipelines.datasets import current_files
from pipelines.drafts import Hold
from pipelines.kept_days import read_receipts
from pipelines.landing import read_register, reading_problem
from pipelines.partitions import partition_of
from pipelines.paths import DataRoot
from pipelines.usage_frames import KnownCustomer

Since = tuple[Hold, date]
"""A cause of a hold, and the landing day of it."""

Arrived = tuple[Action, date]
"""An action and its landing day."""


def held_since(causes: Iterable[Since], actions: Sequence[Arrived]) -> dict[Hold, date]:
    """The holds that stand, in order, each with the landing day of its earliest cause.

    A release lets go what landed up to its own landing day; what lands later holds again.
    rule: USE-2, PST-5.
    """
    released = {
        (action.customer, action.reason): landing_day
        for action, landing_day in sorted(actions, key=lambda it: it[1])
        if isinstance(action, ReleaseHold) and may_do(action)
    }
    found: dict[Hold, date] = {}
    for hold, landing_day in sorted(causes):
        if landing_day > released.get((hold.customer_id, hold.reason), date.min):
            found.setdefault(hold, landing_day)
    return found


def without_usage(root: DataRoot, through: date, customers: Iterable[KnownCustomer]) -> list[Since]:
    """Everybody, where a file that had landed is not metered: it may be anyone's.

    Either its day was metered without it, or the day cannot be metered again since it landed.
    """
    receipts = read_receipts(root, through).select("landing_day", "path", "rows")
    rows = {(day, path): rows for day, path, rows in receipts.iter_rows()}
    days = [
        file.landing_day
        for file in read_register(root).files
        if file.is_used
        and file.landing_day <= through
        and rows.get((file.landing_day, file.path)) is None
        and ((file.landing_day, file.path) not in rows or reading_problem(root, file) is not None)
    ]
    return [(Hold(it.customer_id, "missing_usage"), day) for it in customers for day in days]


def with_conflicts(
    root: DataRoot, through: date, customers: Iterable[KnownCustomer], actions: Sequence[Arrived]
) -> list[Since]:
    """Customers of whom an event has two contents that nobody has decided on. Rule USE-2."""
    names = {it.external_id: it.customer_id for it in customers}
    decided = {
        (action.source, action.event_id)
        for action, _ in actions
        if isinstance(action, DecideConflict) and action.keep == "first" and may_do(action)
    }
    return [
        (Hold(names[row["customer_id"]], "conflict"), row["landing_day"])
        for row in _conflicts(root, through)
        if row["customer_id"] in names
        and not decided & {(row["source"], row["event_id"]), (None, row["event_id"])}
    ]


def _conflicts(root: DataRoot, through: date) -> list[dict[str, Any]]:
    paths = [
        path
        for partition, path in current_files(root, "usage_conflicts").items()
        if partition <= partition_of(through)
    ]
    return [
        row for path in paths for row in pl.read_parquet(path, glob=False).iter_rows(named=True)
    ]
