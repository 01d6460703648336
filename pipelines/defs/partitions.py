"""The days and months that Dagster counts in, and which of them one data root has.

A usage partition is a landing day, a billing partition the day of an invoice; both are
counted from the earliest day that has landed, so that a root of any age shows its own days.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg

from pipelines.paths import DataRoot

DEFAULT_START = date(2024, 1, 1)
"""The first day of a root in which nothing has landed yet."""

_DAY_FOLDER = re.compile(r"day=(\d{4}-\d{2}-\d{2})")

days = dg.DailyPartitionsDefinition(start_date=DEFAULT_START.isoformat(), end_offset=1)
"""What assets are declared with; `definitions_for` puts the days of its root in its place."""

months = dg.MonthlyPartitionsDefinition(start_date=DEFAULT_START.isoformat(), end_offset=1)
"""As `days`, for what is made by month."""


SINGLE_RUN = dg.BackfillPolicy.single_run()
"""Days build on the days before: many of them are one run, in order."""

WRITER = "warehouse_writer"
"""The pool of all that writes. It shows who waits; what keeps writers apart is the lock."""


def first_day(root: DataRoot) -> date:
    """The earliest landing folder's day; DEFAULT_START where nothing has landed."""
    landed = [*_landed_days(root.usage_landing), *_landed_days(root.actions_landing)]
    return min(landed, default=DEFAULT_START)


def days_of(root: DataRoot, through: date) -> dg.DailyPartitionsDefinition:
    """Each day from the first that landed up to yesterday, or to `through` if that is later.

    takes: `through` may lie before the first day that landed; the days then begin there.
    """
    start = min(first_day(root), through)
    ahead = (through - datetime.now(UTC).date()).days
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=max(1 + ahead, 0))


def months_of(root: DataRoot, through: date) -> dg.MonthlyPartitionsDefinition:
    """Each month from the first that landed up to this one, or to that of `through`."""
    start = min(first_day(root), through).replace(day=1)
    today = datetime.now(UTC).date()
    ahead = (through.year - today.year) * 12 + through.month - today.month
    return dg.MonthlyPartitionsDefinition(
        start_date=start.isoformat(), end_offset=1 + max(ahead, 0)
    )


def days_asked(context: dg.AssetExecutionContext) -> list[date]:
    """The days of the partitions that a run was asked for, in order."""
    return sorted(map(date.fromisoformat, context.partition_keys))


def months_asked(context: dg.AssetExecutionContext) -> list[date]:
    """The first days of the months that a run was asked for, in order."""
    return days_asked(context)


def last_day(context: dg.AssetExecutionContext) -> date:
    """The latest day of the partitions that a run was asked for."""
    return days_asked(context)[-1]


def _landed_days(folder: Path) -> Iterator[date]:
    for entry in folder.iterdir() if folder.is_dir() else ():
        found = _DAY_FOLDER.fullmatch(entry.name)
        if found and any(entry.iterdir()):
            yield date.fromisoformat(found[1])
